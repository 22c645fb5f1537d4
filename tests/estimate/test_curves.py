"""Estimated curves: they say what they are, and bend the way that engines do."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from builders import call, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.profile import Curve, StepTime
from scepsy.core.trace import Call, Trace
from scepsy.curves.jobs import Job, jobs
from scepsy.errors import BadInput, NotFound
from scepsy.estimate.curves import QUEUEING_ERROR, estimate
from scepsy.estimate.step_times.fitted import FittedSteps
from scepsy.estimate.step_times.sources import steps_from
from scepsy.estimate.step_times.steps import Steps
from scepsy.hardware.architectures import shape_called
from scepsy.hardware.step_time import StepLoad, StepTimer
from scepsy.predict.interval import NINETY_PERCENT
from scepsy.predict.response import MEAN_TO_DEVIATION

CLUSTER = Cluster(nodes=(Node(name="a", gpus=4),))
LLM = LlmSpec(name="g", engine="vllm", max_sequences=32, max_tp=4, **shape_called("llama-3.1-8b"))
SOURCES = (Steps("h100", "modelled"),)


def runs(**fields: object) -> list[Trace]:
    """Eight runs of a fan-out of three calls, then one alone."""
    found: list[Trace] = []
    for number in range(8):
        name = f"r{number}"
        calls = [
            msgspec.structs.replace(
                call("g", start, end, call=f"{name}-{i}", run=name),
                **{**_lengths(number, i), **fields},
            )
            for i, (start, end) in enumerate([(0.0, 2.0)] * 3 + [(3.0, 4.0)])
        ]
        found.append(trace(*calls, run=name))
    return found


def _lengths(number: int, place: int) -> dict[str, object]:
    return {"prompt_tokens": 300 + 100 * number, "output_tokens": 20 + 10 * place}


def one(job: Job, traces: list[Trace], sources: tuple[Steps, ...] = SOURCES) -> Curve:
    found = estimate(job, traces, CLUSTER, sources)
    assert not isinstance(found, str), found
    return found[0]


def test_curves_of_all_sizes() -> None:
    traces = runs()
    curves = {(j.tp, j.gpu_share): one(j, traces) for j in jobs(traces, [LLM], CLUSTER)}
    for curve in curves.values():
        assert (curve.source, curve.error, curve.gpu_type) == ("modelled", 0.11, "h100")
        assert curve.points[0].rate == 0
        latencies = [point.latency for point in curve.points]
        assert all(low <= high * 1.02 for low, high in pairwise(latencies))
        assert all(0 < p.ttft < p.latency and p.p50 <= p.p90 <= p.p99 for p in curve.points)
    ordered = [curves[key].max_throughput for key in sorted(curves, key=lambda k: k[0] * k[1])]
    assert ordered == sorted(ordered)
    assert curves[4, 1.0].points[0].latency < curves[1, 1.0].points[0].latency


def test_exact_step_times_leave_the_error_of_the_queueing_model() -> None:
    """It is up to 16% (docs/evaluation/estimates.md), which the 90% interval has to hold."""
    traces = runs()
    job = next(j for j in jobs(traces, [LLM], CLUSTER) if j.tp == 1 and j.gpu_share == 1)
    exact = StepTime(fixed=0.01, prefill_token=1e-4, sequence=1e-3, kv_token=1e-6, error=0.001)
    found = estimate(job, traces, CLUSTER, [FittedSteps("h100", {("g", 1, 1.0): exact})])
    assert not isinstance(found, str)
    assert found[0].error == QUEUEING_ERROR
    assert NINETY_PERCENT * MEAN_TO_DEVIATION * found[0].error >= 0.16


def test_one_call_alone_takes_what_its_steps_take() -> None:
    traces = [trace(call("g", 0, 1, call="c", prompt_tokens=640, output_tokens=3))]
    job = next(j for j in jobs(traces, [LLM], CLUSTER) if j.tp == 1 and j.gpu_share == 1)
    timer = SOURCES[0].timer(LLM, 1, 1.0)
    assert isinstance(timer, StepTimer)
    prefill = timer.seconds(StepLoad(640, 640 * 640 / 2))
    decodes = [timer.seconds(StepLoad(decodes=1, decode_kv=kv)) for kv in (641, 642)]
    idle = one(job, traces).points[0]
    assert idle.ttft == pytest.approx(0.015 + prefill, rel=1e-6)
    assert idle.latency == pytest.approx(0.015 + prefill + sum(decodes), rel=1e-6)


def test_calls_without_durations_blocks_or_counts() -> None:
    """As imported traces have them."""
    bare = runs(start=1.0, end=1.0, prompt_tokens=None, output_tokens=None, prompt_chars=2000)
    job = next(j for j in jobs(bare, [LLM], CLUSTER) if j.tp == 2)
    curve = one(job, bare)
    assert curve.max_throughput > 0
    assert all(point.latency > 0 for point in curve.points)


def test_shared_prefixes_make_it_faster() -> None:
    job = next(j for j in jobs(runs(), [LLM], CLUSTER) if j.tp == 1 and j.gpu_share == 1)
    blocks = tuple(f"b{i}" for i in range(8))
    shared = runs(prompt_tokens=512, prompt_chars=2048, prompt_blocks=blocks)
    alone = runs(prompt_tokens=512, prompt_chars=2048)
    assert one(job, shared).max_throughput > 1.05 * one(job, alone).max_throughput


def test_embedding_has_no_second_token() -> None:
    spec = LlmSpec(name="g", max_sequences=16, **shape_called("bge-m3"))
    traces = runs(endpoint="embeddings", items=4, output_tokens=None)
    job = next(j for j in jobs(traces, [spec], CLUSTER) if j.gpu_share == 1)
    points = one(job, traces).points
    assert all(point.ttft == point.latency and point.tpot == 0 for point in points)


def test_two_workflows_share_an_engine_in_their_mixture() -> None:
    other = [
        msgspec.structs.replace(t, workflow="v", calls=tuple(_of_v(c) for c in t.calls))
        for t in runs(output_tokens=400)
    ]
    traces = [*runs(), *other]
    job = next(j for j in jobs(traces, [LLM], CLUSTER) if j.tp == 1 and j.gpu_share == 1)
    found = estimate(job, traces, CLUSTER, SOURCES, {"v": 2.0})
    assert not isinstance(found, str)
    by_name = {curve.workflow: curve for curve in found}
    assert by_name["v"].max_throughput < by_name["w"].max_throughput
    assert by_name["v"].mix == {"v": 2.0, "w": 1.0}


def _of_v(one: Call) -> Call:
    return msgspec.structs.replace(one, workflow="v", run=f"v{one.run}", call=f"v{one.call}")


def test_what_cannot_be_estimated_says_why() -> None:
    traces = runs(prompt_tokens=7000)
    small = msgspec.structs.replace(LLM, max_context=4096)
    job = jobs(traces, [small], CLUSTER)[0]
    with pytest.raises(BadInput, match=r"7050 tokens to 'g', whose max_context is 4096"):
        estimate(job, traces, CLUSTER, SOURCES)
    none = estimate(job, runs(), CLUSTER, (Steps("h100", "tabulated", lambda _llm, _tp: None),))
    assert isinstance(none, str)
    assert "no step times" in none


def test_sources(tmp_path: Path) -> None:
    assert [steps.source for steps in steps_from("roofline", "b200", None)] == ["modelled"]
    with pytest.raises(BadInput, match="--source table needs --table"):
        steps_from("table", "h100", None)
    with pytest.raises(BadInput, match="'abacus' has no timing constants"):
        steps_from("roofline", "abacus", None)
    with pytest.raises(NotFound, match=r"none\.csv"):
        steps_from("auto", "h100", tmp_path / "none.csv")
