"""Replay of recorded runs: each is timed anew with the call latencies of an allocation.

A call starts when the calls that it waited for have ended, plus its recorded gap
(`scepsy.traces.graph`). Its recorded duration is multiplied by the mean latency on the LLM's curve
at the load of the allocation, divided by the mean recorded duration. It is also multiplied by
`StagePrediction.overlap`, so that calls which overlap take as long together as they will. Calls
that the pipeline takes as serial may overlap, the time of tools is kept, and the latency of every
run gives quantiles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import msgspec
import numpy as np

from scepsy.core.plan import Allocation, Prediction, StagePrediction, WorkflowPrediction
from scepsy.core.trace import Trace
from scepsy.predict.pipeline import Pipeline
from scepsy.predict.run_times import Floats, RunTimes, run_times
from scepsy.statistics.quantiles import p99, quantile
from scepsy.traces.graph import RunGraph, graph_of


@dataclass(frozen=True)
class Recorded:
    """The recorded runs of one workflow.

    Attributes:
        runs: their dependency graphs.
        duration: by LLM, the mean duration of a call in seconds.
    """

    runs: Sequence[RunGraph]
    duration: Mapping[str, float]

    @cached_property
    def times(self) -> RunTimes:
        return run_times(self.runs)

    def latencies(self, stages: Iterable[StagePrediction]) -> Floats | None:
        """Seconds of each run with the call latencies of `stages`. Calls to endpoints, which have
        no stage, take as long as recorded. None where the runs never called the LLM of some stage.
        """
        slower: dict[str, float] = {}
        for stage in stages:
            if not self.duration.get(stage.llm):
                return None
            slower[stage.llm] = stage.overlap * stage.call_latency / self.duration[stage.llm]
        return self.times.latencies(slower)


@dataclass(frozen=True, slots=True)
class ReplayPredictor:
    """Predicts by replay of the recorded runs with the pipeline's call latencies. For a workflow
    without a run whose calls all have durations, the pipeline's own prediction is returned.
    """

    pipeline: Pipeline
    recorded: Mapping[str, Recorded]

    def predict(self, allocation: Allocation) -> Prediction:
        """The prediction for `allocation`; latency is inf where an LLM is saturated."""
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
        seconds = recorded.latencies(flow.stages)
        if seconds is None:
            return flow
        values = seconds.tolist()
        return msgspec.structs.replace(
            flow,
            latency_mean=float(np.mean(seconds)),
            latency_p50=quantile(values, 0.5),
            latency_p90=quantile(values, 0.9),
            latency_p99=p99(values),
            percentile_runs=len(values),
            percentiles_by="replay",
        )


def recordings(traces: Iterable[Trace]) -> dict[str, Recorded]:
    """By workflow: its successful runs whose calls all have durations."""
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
