"""The prediction shown with a plan: from replayed runs if the replay found the targets sustained,
otherwise from simulation (pure).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from statistics import fmean

import msgspec

from scepsy.core.plan import Prediction, StagePrediction, WorkflowPrediction
from scepsy.planning.shortlist import ShortlistEntry
from scepsy.planning.uncertainty import with_intervals
from scepsy.predict import Recorded
from scepsy.sim.results.paired_trials import Trial
from scepsy.statistics.batch_means import consecutive, standard_error
from scepsy.statistics.quantiles import p99, quantile


def prediction_of(
    entry: ShortlistEntry, trial: Trial | None, recorded: Mapping[str, Recorded]
) -> Prediction:
    """With the interval of each mean, which `recorded` tells. No latency in it is infinite, if
    `trial` is given. `throughput` stays the pipeline's, below the target where that refuses the
    plan.
    """
    pipeline, allocation = entry.problem.pipeline, entry.allocation
    if trial is None or isfinite(entry.replay.objective):
        return with_intervals(entry.replay, pipeline, allocation, recorded)
    flows = tuple(_flow(flow, entry, trial) for flow in entry.replay.workflows)
    found = msgspec.structs.replace(entry.replay, objective=trial.objective, workflows=flows)
    return with_intervals(found, pipeline, allocation, recorded, _noise(trial))


def _noise(trial: Trial) -> dict[str, float]:
    """Relative standard error of each workflow's simulated mean; none for that of a single run."""
    return {
        workflow: error / fmean(latencies)
        for workflow, latencies in trial.latencies.items()
        if (error := standard_error([fmean(batch) for batch in consecutive(latencies)]))
    }


def _flow(flow: WorkflowPrediction, entry: ShortlistEntry, trial: Trial) -> WorkflowPrediction:
    ranked = sorted(trial.latencies[flow.workflow])
    return msgspec.structs.replace(
        flow,
        latency_mean=sum(ranked) / len(ranked),
        latency_p50=quantile(ranked, 0.5),
        latency_p90=quantile(ranked, 0.9),
        latency_p99=p99(ranked),
        percentile_runs=len(ranked),
        percentiles_by="simulation",
        stages=tuple(_stage(stage, flow.workflow, entry, trial) for stage in flow.stages),
    )


def _stage(
    stage: StagePrediction, workflow: str, entry: ShortlistEntry, trial: Trial
) -> StagePrediction:
    (part,) = (
        flow for flow in entry.problem.pipeline.flows(stage.llm) if flow.target.workflow == workflow
    )
    call = trial.calls.get((workflow, stage.llm), 0.0)
    return msgspec.structs.replace(stage, call_latency=call, seconds=part.serial_calls * call)
