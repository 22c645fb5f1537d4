"""The fewest GPUs on which a plan keeps to a latency limit."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import call, curve, trace
from peers.problems import problems
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
from scepsy.errors import BadInput
from scepsy.planning.decision import Decision
from scepsy.planning.gpu_choice import decide_within
from scepsy.planning.latency_limit import LatencyLimit
from scepsy.planning.planner import STEPS, plan, shortlist
from scepsy.planning.problem import Problem
from scepsy.planning.simulation import SimulationOptions

TRACES = [trace(call("big", 0, 2, run=f"r{i}"), run=f"r{i}") for i in range(4)]
LLMS = [
    LlmSpec(
        name="big",
        parameters=8e9,
        layers=32,
        hidden=4096,
        kv_heads=8,
        head_dim=128,
        max_tp=2,
        min_kv_tokens=1,
    )
]
CURVES = (
    curve("big", {0: 2.0, 1.8: 3.0}, max_throughput=2.0),
    curve("big", {0: 1.0, 3.6: 1.5}, tp=2, max_throughput=4.0),
)


def within(
    *limits: LatencyLimit,
    simulate: SimulationOptions | None = None,
    rate: float = 1.0,
    gpu_type: str = "h100",
) -> Plan | Infeasible:
    cluster = Cluster(nodes=(Node(name="n", gpus=8, gpu_type=gpu_type),))
    curves = tuple(msgspec.structs.replace(one, gpu_type=gpu_type) for one in CURVES)
    targets = [Target(workflow="w", rate=rate)]
    return plan(
        TRACES,
        Profile(curves=curves),
        LLMS,
        cluster,
        targets,
        share_step=1.0,
        simulate=simulate,
        within=limits,
    )


@settings(max_examples=40, deadline=None)
@given(asked=problems(), slower=st.sampled_from((0.9, 1.0, 1.1, 1.5, 3.0, 10.0)))
def test_on_one_gpu_fewer_no_plan_meets_the_limit(asked: Problem, slower: float) -> None:
    listed = shortlist(asked, {})
    if isinstance(listed, Infeasible):
        return
    best = listed.entries[0].replay.objective
    if best == float("inf"):
        return
    limit = LatencyLimit(slower * best * (1 + 1e-9))
    found = decide_within([limit], asked, (), None, 1.0, STEPS)
    if slower < 1:
        assert isinstance(found, Infeasible) or found.entry.replay.objective <= limit.seconds
        return
    assert isinstance(found, Decision)
    assert found.entry.replay.objective <= limit.seconds
    fewer = shortlist(asked.within(found.entry.placement.gpus - 1), {})
    if not isinstance(fewer, Infeasible):
        assert fewer.entries[0].replay.objective > limit.seconds


@pytest.mark.parametrize(("seconds", "gpus"), [(3.0, 1), (2.4, 2), (1.2, 2), (1.04, 6)])
def test_a_lower_limit_takes_more_gpus(seconds: float, gpus: int) -> None:
    found = within(LatencyLimit(seconds))
    assert isinstance(found, Plan)
    assert found.placement.gpus == gpus
    assert "are the fewest that were found to keep to a mean latency of" in "\n".join(
        found.explanation.summary
    )
    assert [point.gpus for point in found.explanation.front if point.chosen] == [gpus]


def test_an_infeasible_limit_names_the_lowest_latency_found() -> None:
    refused = within(LatencyLimit(0.5))
    assert isinstance(refused, Infeasible)
    assert refused.binding == "latency"
    best = float(refused.reason.partition("can be had is ")[2].partition(" s ")[0])
    assert isinstance(within(LatencyLimit(best * 1.01)), Plan)
    assert isinstance(within(LatencyLimit(best * 0.98)), Infeasible)


def test_targets_that_cannot_be_sustained_are_the_first_reason() -> None:
    refused = within(LatencyLimit(2.0), rate=1e5)
    assert isinstance(refused, Infeasible)
    assert "highest rates" in refused.reason


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_is_a_positive_number(seconds: float) -> None:
    with pytest.raises(BadInput, match="must be positive"):
        LatencyLimit(seconds)


def test_a_quantile_needs_a_simulation_that_is_possible() -> None:
    with pytest.raises(BadInput, match="p95"):
        LatencyLimit(1.0, "p95")
    with pytest.raises(BadInput, match="needs a simulation"):
        within(LatencyLimit(5.0, "p99"))
    with pytest.raises(BadInput, match="more than once"):
        within(LatencyLimit(5.0), LatencyLimit(4.0))
    quick = SimulationOptions(calls=200)
    refused = within(LatencyLimit(5.0, "p99"), simulate=quick, gpu_type="unheard-of")
    assert isinstance(refused, Infeasible)
    assert "GPU type" in refused.reason


def test_a_quantile_is_read_off_enough_simulated_runs() -> None:
    """The simulator has a step time of its own, so calls take another time than by the curves."""
    found = within(LatencyLimit(5.0, "p99"), simulate=SimulationOptions(calls=200))
    assert isinstance(found, Plan)
    assert "p99 latency of 5 s (" in "\n".join(found.explanation.summary)
    assert found.explanation.finalists[0].simulated is not None
    refused = within(LatencyLimit(0.01, "p99"), simulate=SimulationOptions(calls=200))
    assert isinstance(refused, Infeasible)
    assert "the lowest p99 latency that can be had is" in refused.reason
    assert "simulated" in refused.reason
