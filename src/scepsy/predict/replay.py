"""Recorded runs, timed anew: each with the call latencies that an allocation would give it.

A call starts when what it waited for has ended, plus its recorded gap (`scepsy.traces.graph`). It
takes as long as its LLM's curve says at the load of the allocation, longer or shorter than the mean
as it was when it was recorded. So what the pipeline takes as serial may overlap, tools stay where
they were, and there is a latency for each run, of which quantiles can be read off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import msgspec
import numpy as np

from scepsy.core.plan import Allocation, Prediction, StagePrediction, WorkflowPrediction
from scepsy.core.trace import Call, Trace
from scepsy.predict.pipeline import Pipeline
from scepsy.traces.graph import RunGraph, graph_of, latency


@dataclass(frozen=True, slots=True)
class Recorded:
    """The runs of one workflow, and the mean seconds that a call took, by LLM."""

    runs: Sequence[RunGraph]
    duration: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ReplayPredictor:
    """The pipeline's call latencies in the recorded runs, by workflow; where none is known whose
    calls all tell how long they took, the pipeline's own answer stands.
    """

    pipeline: Pipeline
    recorded: Mapping[str, Recorded]

    def predict(self, allocation: Allocation) -> Prediction:
        """What `allocation` promises; latency is inf where an LLM is saturated."""
        found = self.pipeline.predict(allocation)
        flows = tuple(self._retimed(flow) for flow in found.workflows)
        objective = sum(
            target.weight * flow.latency_mean
            for target, flow in zip(self.pipeline.targets, flows, strict=True)
        )
        return msgspec.structs.replace(found, objective=objective, workflows=flows)

    def _retimed(self, flow: WorkflowPrediction) -> WorkflowPrediction:
        recorded = self.recorded.get(flow.workflow)
        if recorded is None or not np.isfinite(flow.latency_mean):
            return flow
        if any(stage.llm not in recorded.duration for stage in flow.stages):
            return flow  # the runs whose calls are all timed never called this LLM
        slower = {stage.llm: _slower(stage, recorded) for stage in flow.stages}
        seconds = [_latency(run, slower) for run in recorded.runs]
        mean = fmean(seconds)
        p50, p90, p99 = (float(np.quantile(seconds, part)) for part in (0.5, 0.9, 0.99))
        return msgspec.structs.replace(
            flow,
            latency_mean=mean,
            latency_low=_moved(flow.latency_low, mean - flow.latency_mean),
            latency_high=_moved(flow.latency_high, mean - flow.latency_mean),
            latency_p50=p50,
            latency_p90=p90,
            latency_p99=p99,
        )


def recordings(traces: Iterable[Trace]) -> dict[str, Recorded]:
    """By workflow: its successful runs of which every call's duration is known."""
    found: defaultdict[str, list[RunGraph]] = defaultdict(list)
    for trace in traces:
        graph = graph_of(trace)
        if trace.ok and graph.calls and all(call.timed for call in graph.calls):
            found[trace.workflow].append(graph)
    return {workflow: Recorded(runs, _durations(runs)) for workflow, runs in found.items()}


def _durations(runs: Sequence[RunGraph]) -> dict[str, float]:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for run in runs:
        for call in run.calls:
            found[call.llm].append(call.duration)
    return {llm: fmean(durations) for llm, durations in found.items()}


def _slower(stage: StagePrediction, recorded: Recorded) -> float:
    """How many times as long as recorded the calls of a stage take."""
    return stage.call_latency / recorded.duration[stage.llm]


def _latency(run: RunGraph, slower: Mapping[str, float]) -> float:
    """Seconds of the run. Calls of LLMs at endpoints, which are no stage, take what they took."""
    return latency(run, [_duration(call, slower) for call in run.calls])


def _duration(call: Call, slower: Mapping[str, float]) -> float:
    return call.duration * slower.get(call.llm, 1.0)


def _moved(bound: float | None, seconds: float) -> float | None:
    return None if bound is None else max(0.0, bound + seconds)
