"""The paper's formulas, by hand, and the two places where we depart from them."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from builders import call, curve, trace
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, LlmAllocation, Target
from scepsy.core.profile import Overlap
from scepsy.errors import BadInput
from scepsy.predict import Pipeline, responses
from scepsy.traces.summarize import summarize


def run_of_two(workflow: str = "w") -> tuple[object, ...]:
    """Four calls of a, two at a time; then one of b; then a second of tools."""
    return (
        call("a", 0, 1, workflow=workflow),
        call("a", 0, 1, workflow=workflow),
        call("a", 1, 2, workflow=workflow),
        call("a", 1, 2, workflow=workflow),
        call("b", 3, 4, workflow=workflow),
    )


CURVES = [
    curve("a", {1: 1.0, 9: 3.0}, max_throughput=10),
    curve("b", {1: 0.5, 4: 1.5}, max_throughput=5),
]


def pipeline(rate: float, weight: float = 1.0) -> Pipeline:
    demands = summarize([trace(*run_of_two())])  # type: ignore[arg-type]
    return Pipeline(demands, (Target(workflow="w", rate=rate, weight=weight),), responses(CURVES))


def allocation(a: int, b: int) -> Allocation:
    return Allocation(
        llms=(
            LlmAllocation(llm="a", tp=1, gpu_share=1, memory_share=1, replicas=a),
            LlmAllocation(llm="b", tp=1, gpu_share=1, memory_share=1, replicas=b),
        )
    )


def test_latency_and_throughput_are_the_papers() -> None:
    found = pipeline(rate=1.0).predict(allocation(1, 1)).workflows[0]
    # a: n=4, p=2, rate 4 -> 1/L = 1 - 2/3 * 3/8; b: n=1, rate 1 -> 0.5; one second of tools.
    assert found.latency_mean == pytest.approx(4 / 3 * 4 / 2 + 0.5 + 1.0)
    assert found.throughput == pytest.approx(min(10 / 4, 5 / 1))
    assert found.bottleneck == "a"


def test_a_stage_has_the_latency_and_the_overlap_of_replicas_that_share_the_calls() -> None:
    known = {
        "one": Overlap(latency=1.0, parallelism=1.6),
        "pooled": Overlap(latency=0.7, parallelism=2.0),
    }
    shared = [
        replace(one, points=tuple(replace(point, **known) for point in one.points))
        for one in CURVES
    ]
    one = pipeline(rate=2.0)
    faster = Pipeline(one.demands, one.targets, responses(shared))
    for count, latency, spent in ((1, 1.0, 1 / 1.6), (2, 0.8, None), (4, 0.7, 0.7 / 2.0)):
        was, now = (of.predict(allocation(count, 1)).workflows[0] for of in (one, faster))
        mine, before = now.stages[0], was.stages[0]
        assert mine.call_latency == pytest.approx(latency * before.call_latency)
        assert now.throughput == was.throughput
        costs = faster.stage_costs(LlmSpec(name="a"), 1, 1.0, np.array([count]))
        assert costs[0] == pytest.approx(mine.seconds)
        # Traced, two of the four calls are open at once.
        assert mine.seconds == pytest.approx(4 / 2 * mine.overlap * mine.call_latency)
        if spent is not None:
            assert mine.seconds == pytest.approx(4 * spent * before.call_latency)


def test_replicas_divide_the_rate_and_multiply_the_throughput() -> None:
    found = pipeline(rate=2.0).predict(allocation(2, 1)).workflows[0]
    assert found.stages[0].call_latency == pytest.approx(4 / 3)
    assert found.throughput == pytest.approx(5.0)


def test_stage_costs_sum_to_the_objective() -> None:
    built = pipeline(rate=1.0, weight=2.5)
    total = built.base
    for name, replicas in (("a", 3), ("b", 2)):
        total += built.stage_costs(LlmSpec(name=name), 1, 1.0, np.array([replicas]))[0]
    assert total == pytest.approx(built.predict(allocation(3, 2)).objective)


def test_saturated_or_unprofiled_costs_are_infinite() -> None:
    built = pipeline(rate=2.4)  # 9.6 calls/s on a: above the highest measured, 9
    costs = built.stage_costs(LlmSpec(name="a"), 1, 1.0, np.array([1, 2]))
    assert np.isinf(costs[0])
    assert np.isfinite(costs[1])
    assert np.isinf(built.stage_costs(LlmSpec(name="a"), 2, 1.0, np.array([1]))).all()


def test_two_workflows_on_one_llm_add_their_load_as_utilisation() -> None:
    demands = summarize(
        [trace(*run_of_two()), trace(call("a", 0, 5, workflow="v"), workflow="v")]  # type: ignore[arg-type]
    )
    curves = [*CURVES, curve("a", {0.1: 5.0, 0.9: 9.0}, workflow="v", max_throughput=1.0)]
    targets = (Target(workflow="w", rate=1.0), Target(workflow="v", rate=0.25))
    found = Pipeline(demands, targets, responses(curves)).predict(allocation(1, 1))
    load = 4 / 10 + 0.25 / 1
    assert found.utilisation["a"] == pytest.approx(load)
    of_v = found.workflows[1]
    assert of_v.latency_mean == pytest.approx(1 / np.interp(load, [0.1, 0.9], [1 / 5, 1 / 9]))
    assert of_v.throughput == pytest.approx(1 - 0.4)


def test_a_target_without_traces_and_an_llm_without_profile_are_refused_by_name() -> None:
    demands = summarize([trace(*run_of_two())])  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"'x'.*the traces hold w"):
        Pipeline(demands, (Target(workflow="x", rate=1),), responses(CURVES))
    with pytest.raises(BadInput, match=r"'b'.*'w'"):
        Pipeline(demands, (Target(workflow="w", rate=1),), responses(CURVES[:1]))
