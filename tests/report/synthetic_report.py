"""A realistic report without anything having run: two workflows, four LLMs, two nodes."""

from __future__ import annotations

import math

import msgspec

from scepsy.core.cluster import Cluster, Node
from scepsy.core.demand import Demand, LlmDemand, Spread
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import (
    Allocation,
    Explanation,
    FrontPoint,
    LlmAllocation,
    Placement,
    Plan,
    RunnerUp,
    Target,
)
from scepsy.core.profile import Curve, Profile, ProfilePoint
from scepsy.place import place
from scepsy.planning.allocation_text import describe, differences
from scepsy.predict import Pipeline, responses
from scepsy.predict.headroom import headroom
from scepsy.report.data import (
    CurvePoint,
    LlmSummary,
    Measurement,
    Promise,
    Report,
    Summary,
    WorkflowCurves,
    WorkflowSummary,
)

CLUSTER = Cluster(nodes=(Node(name="node-a", gpus=4), Node(name="node-b", gpus=4)))
BEAM, RAG = "beam-search", "rag-rerank"
TARGETS = (Target(workflow=BEAM, rate=0.8), Target(workflow=RAG, rate=3.0))
LLMS = (
    LlmSpec(name="embedder", kind="embed", parameters=0.6e9),
    LlmSpec(name="generator", parameters=32.8e9, max_tp=4),
    LlmSpec(name="reranker", kind="rerank", parameters=0.6e9),
    LlmSpec(name="verifier", parameters=8e9, max_tp=2),
)
ALLOCATION = (
    LlmAllocation(llm="embedder", tp=1, gpu_share=0.1, memory_share=0.06, replicas=1),
    LlmAllocation(llm="generator", tp=4, gpu_share=1.0, memory_share=0.92, replicas=1),
    LlmAllocation(llm="reranker", tp=1, gpu_share=0.3, memory_share=0.1, replicas=2),
    LlmAllocation(llm="verifier", tp=2, gpu_share=1.0, memory_share=0.4, replicas=1),
)
EVEN = (
    LlmAllocation(llm="embedder", tp=1, gpu_share=1.0, memory_share=0.9, replicas=2),
    LlmAllocation(llm="generator", tp=2, gpu_share=1.0, memory_share=0.9, replicas=1),
    LlmAllocation(llm="reranker", tp=1, gpu_share=1.0, memory_share=0.9, replicas=2),
    LlmAllocation(llm="verifier", tp=1, gpu_share=1.0, memory_share=0.9, replicas=2),
)
CALLS = {
    (BEAM, "generator"): (34.0, 5.1, 0.71, 1.6),
    (BEAM, "verifier"): (34.0, 4.8, 0.29, 0.45),
    (RAG, "embedder"): (1.4, 1.0, 0.031, 0.06),
    (RAG, "generator"): (1.4, 1.0, 0.77, 1.1),
    (RAG, "reranker"): (16.8, 6.2, 0.199, 0.14),
}
"""(workflow, llm): calls per run, parallelism, time share, seconds of a call when idle."""


def report() -> Report:
    """The whole, with an even split that saturates on both workflows."""
    profile = Profile(curves=_curves())
    pipeline = Pipeline(_demands(), TARGETS, responses(profile.curves))
    plan = _plan(pipeline, ALLOCATION)
    even = _plan(pipeline, EVEN)
    noise = {BEAM: 1.036, RAG: 0.962}
    latencies = {flow.workflow: flow.latency_mean for flow in plan.prediction.workflows}
    summaries = tuple(
        _workflow(plan, target, latencies[target.workflow], noise[target.workflow])
        for target in TARGETS
    )
    return Report(
        summary=Summary(
            workflows=summaries,
            llms=_llms(plan),
            seed=0,
            seconds=243.0,
            machine="2 cores, Linux 6.1",
            time_scale=3.0,
            engines="emulated 0.1.0",
        ),
        plan=plan,
        even_split=even,
        profile=profile,
        curves=tuple(
            _load_curves(pipeline, target, summary)
            for target, summary in zip(TARGETS, summaries, strict=True)
        ),
    )


def placed(*replicas: LlmAllocation, cluster: Cluster = CLUSTER) -> Placement:
    """Where these go; they must fit."""
    found = place(Allocation(llms=replicas), cluster)
    assert isinstance(found, Placement), found
    return found


def _plan(pipeline: Pipeline, parts: tuple[LlmAllocation, ...]) -> Plan:
    allocation = Allocation(llms=parts)
    other = Allocation(
        llms=tuple(
            msgspec.structs.replace(part, tp=2, replicas=2) if part.llm == "generator" else part
            for part in parts
        )
    )
    prediction = pipeline.predict(allocation)
    return Plan(
        cluster=CLUSTER,
        llms=LLMS,
        targets=TARGETS,
        demands=pipeline.demands,
        allocation=allocation,
        placement=placed(*parts),
        prediction=prediction,
        explanation=Explanation(
            summary=(
                "beam-search: generator saturates first, at 1.13 runs/s (1.4 x the target of 0.8)",
                "rag-rerank: generator saturates first, at 5.2 runs/s (1.7 x the target of 3)",
                "One more GPU: -6.2% sum of mean latencies",
                "One fewer GPU: +11.8% sum of mean latencies",
            ),
            runners_up=(
                RunnerUp(
                    allocation=other,
                    objective=prediction.objective * 1.14,
                    note=f"+14.0% sum of mean latencies: {differences(allocation, other)}",
                ),
            ),
            front=tuple(
                FrontPoint(
                    gpus=gpus,
                    gpu_shares=gpus - 0.3,
                    objective=prediction.objective * slower,
                    latency_means={
                        flow.workflow: flow.latency_mean * slower for flow in prediction.workflows
                    },
                    headroom=1.3 / slower,
                    chosen=slower == 1.0,
                )
                for gpus, slower in ((4, 1.9), (5, 1.4), (7, 1.0), (8, 0.995))
            ),
            tolerance=0.01,
            skipped=("generator 1 x TP4, verifier 2 x TP2: no NVLink domain has 2 free GPUs left",),
        ),
    )


def _demands() -> tuple[Demand, ...]:
    return tuple(
        Demand(
            workflow=workflow,
            runs=40,
            latency=_spread(latency, 0.3),
            other_time=0.4,
            llms=tuple(
                LlmDemand(
                    llm=llm,
                    calls=calls,
                    parallelism=parallelism,
                    busy=calls * seconds / parallelism,
                    duration=seconds,
                    time_share=_spread(share, 0.08),
                )
                for (owner, llm), (calls, parallelism, share, seconds) in CALLS.items()
                if owner == workflow
            ),
        )
        for workflow, latency in ((BEAM, 14.0), (RAG, 3.1))
    )


def _spread(mean: float, cv: float) -> Spread:
    return Spread(
        mean=mean, cv=cv, p10=mean * (1 - 1.3 * cv), p50=mean * 0.99, p90=mean * (1 + 1.3 * cv)
    )


def _curves() -> tuple[Curve, ...]:
    sizes = {
        "embedder": [(1, 0.1), (1, 0.3), (1, 1.0)],
        "reranker": [(1, 0.1), (1, 0.3), (1, 1.0)],
        "generator": [(1, 1.0), (2, 1.0), (4, 1.0)],
        "verifier": [(1, 0.5), (1, 1.0), (2, 1.0)],
    }
    most = {"embedder": 240.0, "reranker": 160.0, "generator": 13.0, "verifier": 48.0}
    return tuple(
        _curve(llm, workflow, tp, share, seconds, most[llm])
        for (workflow, llm), (_, _, _, seconds) in CALLS.items()
        for tp, share in sizes[llm]
    )


def _curve(llm: str, workflow: str, tp: int, share: float, seconds: float, most: float) -> Curve:
    power = tp**0.85 * (0.25 + 0.75 * share)
    most *= power
    base = seconds / power**0.8
    return Curve(
        llm=llm,
        workflow=workflow,
        tp=tp,
        gpu_share=share,
        points=tuple(
            _point(most * used, base * (1 + 0.6 * used + 1.4 * used**6))
            for used in (0.08, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)
        ),
        max_throughput=most,
        engine="emulated 0.1.0",
        gpu_type="h100",
        machine="2 cores, Linux 6.1",
    )


def _point(rate: float, latency: float) -> ProfilePoint:
    return ProfilePoint(
        rate=rate,
        latency=latency,
        p50=latency * 0.95,
        p90=latency * 1.4,
        p99=latency * 1.9,
        ttft=latency / 5,
        tpot=0.01,
        samples=400,
        noise=latency / 40,
    )


def _workflow(plan: Plan, target: Target, latency: float, noise: float) -> WorkflowSummary:
    flow = next(f for f in plan.prediction.workflows if f.workflow == target.workflow)
    measured = _measured(target.rate, target.rate * 0.985, latency * noise)
    return WorkflowSummary(
        workflow=target.workflow,
        target_rate=target.rate,
        predicted=Promise(throughput=target.rate, latency_mean=latency, saturation=flow.throughput),
        measured=measured,
        even_split=_measured(target.rate, target.rate * 0.71, latency * 4.3),
        latency_error=latency / measured.latency_mean - 1,
        chance=0.09,
    )


def _measured(offered: float, throughput: float, latency: float) -> Measurement:
    completed = round(60 * throughput)
    return Measurement(
        offered_rate=offered,
        throughput=throughput,
        verdict="sustained" if throughput > 0.9 * offered else "not sustained",
        latency_mean=latency,
        latency_p50=latency * 0.93,
        latency_p99=latency * 2.1 if completed >= 100 else None,
        latency_max=latency * 2.4,
        completed=completed,
        failed=0,
        throughput_low=throughput * 0.8,
        throughput_high=throughput * 1.25,
        standard_error=latency * 0.05,
    )


def _llms(plan: Plan) -> tuple[LlmSummary, ...]:
    allocations = {part.llm: part for part in plan.allocation.llms}
    return tuple(
        LlmSummary(
            llm=llm,
            workflow=workflow,
            calls=calls,
            parallelism=parallelism,
            time_share=share,
            allocation=describe(allocations[llm]),
            predicted_utilisation=plan.prediction.utilisation[llm],
            measured_busy=0.5 + 0.4 * plan.prediction.utilisation[llm],
        )
        for (workflow, llm), (calls, parallelism, share, _) in CALLS.items()
    )


def _load_curves(pipeline: Pipeline, target: Target, summary: WorkflowSummary) -> WorkflowCurves:
    low = target.rate * 0.5
    latency = next(
        p.latency for p in _predicted(pipeline, ALLOCATION, target) if p.rate >= low - 1e-9
    )
    return WorkflowCurves(
        workflow=target.workflow,
        target_rate=target.rate,
        predicted=_predicted(pipeline, ALLOCATION, target),
        measured=(_measured(low, low * 1.01, latency * 1.02), summary.measured),
        even_predicted=_predicted(pipeline, EVEN, target),
        even_measured=(summary.even_split,),
        saturation=target.rate * headroom(pipeline.predict(Allocation(llms=ALLOCATION))).factor,
        even_saturation=target.rate * headroom(pipeline.predict(Allocation(llms=EVEN))).factor,
    )


def _predicted(
    pipeline: Pipeline, parts: tuple[LlmAllocation, ...], target: Target
) -> tuple[CurvePoint, ...]:
    """Up to twice the targets; latency is inf beyond saturation."""
    points: list[CurvePoint] = []
    for step in range(1, 41):
        scaled = tuple(
            msgspec.structs.replace(each, rate=each.rate * step / 20) for each in TARGETS
        )
        flows = Pipeline(pipeline.demands, scaled, pipeline.responses).predict(
            Allocation(llms=parts)
        )
        flow = next(f for f in flows.workflows if f.workflow == target.workflow)
        points.append(CurvePoint(rate=target.rate * step / 20, latency=flow.latency_mean))
    assert any(math.isfinite(point.latency) for point in points)
    return tuple(points)
