"""Compares what was predicted with what was measured (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import msgspec

from scepsy.core.plan import Allocation, Plan, WorkflowPrediction
from scepsy.drive.result import DriveResult, WorkflowMeasurement
from scepsy.errors import RunsFailed
from scepsy.planning.allocation_text import describe
from scepsy.predict import NINETY_PERCENT, Pipeline
from scepsy.predict.headroom import headroom
from scepsy.report.data import (
    CurvePoint,
    LlmSummary,
    Measurement,
    Promise,
    WorkflowCurves,
    WorkflowSummary,
)

STEPS = tuple(step / 20 for step in range(1, 41))
"""Factors on the target rates at which the predicted curves are drawn."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a demo has found: both plans, the pipeline that predicts them, and what was measured:
    of the plan at the targets and beyond them, of the even split at the targets.
    """

    plan: Plan
    even: Plan
    pipeline: Pipeline
    full: DriveResult
    beyond: DriveResult
    even_full: DriveResult


def workflow_summaries(outcome: Outcome) -> tuple[WorkflowSummary, ...]:
    """One for each workflow, in the order of the targets."""
    return tuple(_workflow(outcome, flow.workflow) for flow in outcome.plan.prediction.workflows)


def llm_summaries(outcome: Outcome) -> tuple[LlmSummary, ...]:
    """One for each LLM of each workflow."""
    allocation = {part.llm: part for part in outcome.plan.allocation.llms}
    predicted = outcome.plan.prediction.utilisation
    busy = {load.llm: load.busy for load in outcome.full.llms}
    return tuple(
        LlmSummary(
            llm=llm.llm,
            workflow=demand.workflow,
            calls=llm.calls,
            parallelism=llm.parallelism,
            time_share=llm.time_share.mean,
            allocation=describe(allocation[llm.llm]),
            predicted_utilisation=predicted[llm.llm],
            measured_busy=busy.get(llm.llm),
        )
        for demand in outcome.plan.demands
        for llm in demand.llms
    )


def curves(outcome: Outcome) -> tuple[WorkflowCurves, ...]:
    """Predicted latency against rate, all rates scaled alike, with the measured points."""
    plan = headroom(outcome.plan.prediction).factor
    even = headroom(outcome.pipeline.predict(outcome.even.allocation)).factor
    return tuple(
        WorkflowCurves(
            workflow=target.workflow,
            target_rate=target.rate,
            predicted=_curve(outcome.pipeline, outcome.plan.allocation, target.workflow),
            measured=(
                measurement(outcome.full, target.workflow),
                measurement(outcome.beyond, target.workflow),
            ),
            even_predicted=_curve(outcome.pipeline, outcome.even.allocation, target.workflow),
            even_measured=(measurement(outcome.even_full, target.workflow),),
            saturation=target.rate * plan,
            even_saturation=target.rate * even,
        )
        for target in outcome.plan.targets
    )


def measurement(result: DriveResult, workflow: str) -> Measurement:
    """What the driver measured of one workflow. Raises RunsFailed where no run succeeded."""
    found: WorkflowMeasurement = next(f for f in result.workflows if f.workflow == workflow)
    if found.latency_mean is None or found.latency_p50 is None:
        raise RunsFailed(f"{workflow}: no run succeeded")
    return Measurement(
        offered_rate=found.offered_rate,
        throughput=found.throughput,
        latency_mean=found.latency_mean,
        latency_p50=found.latency_p50,
        latency_p99=found.latency_p99,
        latency_max=max(run.latency for run in found.runs if run.ok),
        completed=found.completed,
        failed=found.failed,
        throughput_low=found.throughput_low,
        throughput_high=found.throughput_high,
        verdict=found.verdict,
        standard_error=found.standard_error,
    )


def _workflow(outcome: Outcome, workflow: str) -> WorkflowSummary:
    flow = next(f for f in outcome.plan.prediction.workflows if f.workflow == workflow)
    measured = measurement(outcome.full, workflow)
    return WorkflowSummary(
        workflow=workflow,
        target_rate=flow.target_rate,
        predicted=Promise(
            throughput=min(flow.target_rate, flow.throughput),
            latency_mean=flow.latency_mean,
            saturation=flow.throughput,
        ),
        measured=measured,
        even_split=measurement(outcome.even_full, workflow),
        latency_error=flow.latency_mean / measured.latency_mean - 1,
        chance=_chance(flow, measured),
    )


def _chance(flow: WorkflowPrediction, measured: Measurement) -> float | None:
    """Half-width of the 90% interval of the predicted over the measured mean. The interval that the
    plan states and the one of the few measured runs are independent, so their squares add up.
    """
    if measured.standard_error is None:
        return None
    of_runs = NINETY_PERCENT * measured.standard_error * flow.latency_mean / measured.latency_mean
    of_plan = 0.0
    if flow.latency_low is not None and flow.latency_high is not None:
        of_plan = (flow.latency_high - flow.latency_low) / 2
    return math.hypot(of_runs, of_plan) / measured.latency_mean


def _curve(pipeline: Pipeline, allocation: Allocation, workflow: str) -> tuple[CurvePoint, ...]:
    points: list[CurvePoint] = []
    for step in STEPS:
        targets = tuple(
            msgspec.structs.replace(target, rate=target.rate * step) for target in pipeline.targets
        )
        prediction = replace(pipeline, targets=targets).predict(allocation)
        flow = next(f for f in prediction.workflows if f.workflow == workflow)
        points.append(CurvePoint(rate=flow.target_rate, latency=flow.latency_mean))
    return tuple(points)
