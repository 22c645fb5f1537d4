"""The prediction shown with a plan: from replayed runs if the replay found the targets sustained,
otherwise from simulation (pure).
"""

from __future__ import annotations

from math import isfinite

import msgspec

from scepsy.core.plan import Prediction, StagePrediction, WorkflowPrediction
from scepsy.planning.shortlist import ShortlistEntry
from scepsy.sim.results.paired_trials import Trial
from scepsy.statistics.quantiles import quantile


def prediction_of(entry: ShortlistEntry, trial: Trial | None) -> Prediction:
    """No latency in it is infinite, if `seen` is given. `throughput` stays the pipeline's, below
    the target where that refuses the plan.
    """
    if trial is None or isfinite(entry.replay.objective):
        return entry.replay
    flows = tuple(_flow(flow, entry, trial) for flow in entry.replay.workflows)
    return msgspec.structs.replace(entry.replay, objective=trial.objective, workflows=flows)


def _flow(flow: WorkflowPrediction, entry: ShortlistEntry, trial: Trial) -> WorkflowPrediction:
    ranked = sorted(trial.latencies[flow.workflow])
    return msgspec.structs.replace(
        flow,
        latency_mean=sum(ranked) / len(ranked),
        latency_low=None,
        latency_high=None,
        latency_p50=quantile(ranked, 0.5),
        latency_p90=quantile(ranked, 0.9),
        latency_p99=quantile(ranked, 0.99),
        stages=tuple(_stage(stage, flow.workflow, entry, trial) for stage in flow.stages),
    )


def _stage(
    stage: StagePrediction, workflow: str, entry: ShortlistEntry, trial: Trial
) -> StagePrediction:
    (part,) = (
        flow for flow in entry.problem.pipeline.flows(stage.llm) if flow.target.workflow == workflow
    )
    call = trial.calls.get((workflow, stage.llm), 0.0)
    return msgspec.structs.replace(stage, call_latency=call, seconds=part.stretch * call)
