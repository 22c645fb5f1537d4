"""The uncertainty of predicted mean latencies: the sampling error of the traced runs, by bootstrap,
the noise of curves, and the error of the predictor (pure).

The traced runs of a workflow are resampled with replacement. Other runs would change the mean
latency in two ways. They would be longer or shorter, and they would put more or less load on the
engines, which changes the latency of every call along the LLM's curve. Both are counted. Near
saturation the second effect is the larger one.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite, sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray

from scepsy.core.plan import (
    Allocation,
    IntervalParts,
    Prediction,
    StagePrediction,
    WorkflowPrediction,
)
from scepsy.predict import Pipeline, Recorded
from scepsy.predict.interval import NINETY_PERCENT, interval, mean_utilisation, model_error
from scepsy.predict.pipeline import Flow
from scepsy.predict.response import Blend

Floats = NDArray[np.float64]

RESAMPLES = 400
"""Bootstrap resamples: the standard error of a bootstrapped standard deviation is then 4%."""

RUNS_MIN = 5
"""Traced runs that an interval needs. How far the runs differ is hardly known from fewer: with two,
an honest interval reaches from milliseconds to minutes, which tells nobody anything.
"""

GROUPS_MAX = 500
"""If there are more runs, they are averaged in at most this many groups of equal size, and the
groups are resampled. The variance of the mean stays the same, and the time of the bootstrap is
bounded.
"""


@dataclass(frozen=True, slots=True)
class _Served:
    """One LLM for the calls of one workflow.

    Attributes:
        flow: the calls.
        blend: the latency curve of a replica for them.
        replicas: how many serve them.
        load: utilisation of a replica.
        own_load: the part of that utilisation that the workflow itself causes.
    """

    flow: Flow
    blend: Blend
    replicas: int
    load: float
    own_load: float

    def slower(self, loads: Floats) -> Floats:
        """The latency of calls at `loads`, divided by that at the predicted load."""
        now = self.blend.extended_at(np.array([self.load]), self.replicas)
        return self.blend.extended_at(loads, self.replicas) / now


def with_intervals(
    prediction: Prediction,
    pipeline: Pipeline,
    allocation: Allocation,
    recorded: Mapping[str, Recorded],
    noise: Mapping[str, float] | None = None,
) -> Prediction:
    """The prediction of `allocation` with the interval of each workflow's mean latency.

    `pipeline` is the one that made the prediction. `noise` is given if means were simulated: their
    relative standard error, by workflow. Otherwise the noise of the curves counts. A workflow has
    no interval if its latency is infinite, or if fewer than `RUNS_MIN` of its traced runs have the
    times of all calls.
    """
    served = _served(pipeline, allocation)
    samples = {
        flow.workflow: sample
        for number, flow in enumerate(prediction.workflows)
        if flow.workflow in recorded
        and isfinite(flow.latency_mean)
        and (sample := _sample(recorded[flow.workflow], flow.stages, number)) is not None
    }
    flows = tuple(
        _with_interval(flow, prediction, served, samples, (noise or {}).get(flow.workflow))
        for flow in prediction.workflows
    )
    return msgspec.structs.replace(prediction, workflows=flows)


def _served(pipeline: Pipeline, allocation: Allocation) -> dict[tuple[str, str], _Served]:
    """By (workflow, LLM). LLMs that were not profiled as allocated are left out."""
    found: dict[tuple[str, str], _Served] = {}
    for part in allocation.llms:
        flows = pipeline.flows(part.llm)
        blends = pipeline.blends(flows, part.tp, part.gpu_share)
        if blends is None:
            continue
        own = [
            flow.rate / (part.replicas * blend.max_throughput)
            for flow, blend in zip(flows, blends, strict=True)
        ]
        for flow, blend, load in zip(flows, blends, own, strict=True):
            found[flow.target.workflow, part.llm] = _Served(
                flow, blend, part.replicas, sum(own), load
            )
    return found


@dataclass(frozen=True, slots=True)
class _Sample:
    """Resampled runs of a workflow: in each resample, the mean latency and by LLM the call seconds
    per run, both relative to those of the traced runs.
    """

    runs: int
    latency: Floats
    work: Mapping[str, Floats]


def _sample(recorded: Recorded, stages: Sequence[StagePrediction], seed: int) -> _Sample | None:
    latencies, runs = recorded.latencies(stages), len(recorded.runs)
    if latencies is None or runs < RUNS_MIN:
        return None
    rows = np.array([latencies, *(recorded.times.seconds_in(one.llm) for one in stages)])
    rng = np.random.default_rng(seed)
    if runs > GROUPS_MAX:
        size = ceil(runs / GROUPS_MAX)
        kept = rng.permutation(runs)[: runs - runs % size]
        rows = rows[:, kept].reshape(len(rows), -1, size).mean(axis=2)
    count = rows.shape[1]
    draws = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    relative = (rows @ draws.T / count) / rows.mean(axis=1, keepdims=True)
    # The variance of a resample is (n - 1) / n of that of the runs. The variance of few runs is
    # itself uncertain, so Student's quantile replaces the normal one.
    scale = sqrt(count / (count - 1)) * _student(runs - 1) / NINETY_PERCENT
    wider = 1.0 + scale * (relative - 1.0)
    work = {stage.llm: row for stage, row in zip(stages, wider[1:], strict=True)}
    return _Sample(runs, wider[0], work)


def _student(freedom: int) -> float:
    """The 95% quantile of Student's t distribution with `freedom` degrees of freedom."""
    special = importlib.import_module("scipy.special")  # 0.2 s to import: not before it is needed
    return float(special.stdtrit(freedom, 0.95))


def _with_interval(
    flow: WorkflowPrediction,
    prediction: Prediction,
    served: Mapping[tuple[str, str], _Served],
    samples: Mapping[str, _Sample],
    noise: float | None,
) -> WorkflowPrediction:
    sample, mean = samples.get(flow.workflow), flow.latency_mean
    if sample is None or not mean:
        return flow
    known = [
        (stage, found)
        for stage in flow.stages
        if (found := served.get((flow.workflow, stage.llm))) is not None
    ]
    whole = sum(stage.seconds for stage in flow.stages)
    # Seconds of latency for each second in an LLM: below one where calls to LLMs overlap.
    overlap = min(1.0, mean / whole) if whole else 1.0
    latency = sample.latency.copy()
    curves = estimate = 0.0
    for stage, one in known:
        loads = _loads(stage.llm, one, served, samples)
        part = overlap * stage.seconds / mean
        latency += part * (one.slower(loads) - 1.0)
        level = float(one.blend.extended_at(np.array([one.load]))[0])
        curves += (part * one.blend.noise_at(one.load) / level) ** 2
        estimate += (part * one.blend.estimate_error_at(one.load) / level) ** 2
    in_llms = overlap * whole / mean
    model = model_error(mean_utilisation(flow.stages, prediction.utilisation)) * in_llms
    parts = IntervalParts(
        runs=NINETY_PERCENT * float(np.std(np.log(np.maximum(latency, 1e-3)))),
        curves=NINETY_PERCENT * (sqrt(curves) if noise is None else noise),
        model=NINETY_PERCENT * model,
        estimate=NINETY_PERCENT * sqrt(estimate),
        traced=sample.runs,
    )
    low, high = interval(mean, parts)
    return msgspec.structs.replace(flow, latency_low=low, latency_high=high, interval_parts=parts)


def _loads(
    llm: str,
    one: _Served,
    served: Mapping[tuple[str, str], _Served],
    samples: Mapping[str, _Sample],
) -> Floats:
    """Utilisation of the LLM in each resample. The part of each workflow is proportional to its
    call seconds per run.
    """
    found = np.full(RESAMPLES, one.load)
    for (workflow, name), other in served.items():
        if name == llm and workflow in samples:
            found += other.own_load * (samples[workflow].work[llm] - 1.0)
    return np.maximum(found, 0.0)
