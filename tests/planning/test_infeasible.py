"""Targets that cannot be met: which rates can."""

from __future__ import annotations

import re

import pytest

from builders import call, curve, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
from scepsy.errors import BadInput
from scepsy.planning.planner import plan

TRACES = [
    trace(call(llm, 0, 1, run=f"{flow}{i}", workflow=flow), run=f"{flow}{i}", workflow=flow)
    for i in range(4)
    for flow, llm in (("rag", "reader"), ("agent", "thinker"))
]
PROFILE = Profile(
    curves=tuple(
        curve(llm, {0: 1.0, 1.8: 1.5}, workflow=flow, max_throughput=2.0)
        for flow, llm in (("rag", "reader"), ("agent", "thinker"))
    )
)
LLMS = [
    LlmSpec(name=name, parameters=20e9, max_tp=1, min_kv_tokens=1) for name in ("reader", "thinker")
]


def decide(rag: float, agent: float, gpus: int = 4) -> Plan | Infeasible:
    targets = [Target(workflow="rag", rate=rag), Target(workflow="agent", rate=agent)]
    cluster = Cluster(nodes=(Node(name="n", gpus=gpus),))
    return plan(TRACES, PROFILE, LLMS, cluster, targets, share_step=1.0)


@pytest.mark.parametrize("rag", [10.0, 1e5])
def test_the_highest_rate_of_one_workflow_leaves_the_other_at_its_target(rag: float) -> None:
    """Scaled alike, a target of 1e5/s drags the other one down to almost nothing."""
    refused = decide(rag, 0.5)
    assert isinstance(refused, Infeasible)
    found = re.search(r"With the other targets as they are, .*?: rag ([\d.]+)/s", refused.reason)
    assert found is not None
    rate = float(found[1])
    assert isinstance(decide(rate, 0.5), Plan)
    assert isinstance(decide(rate * 1.02, 0.5), Infeasible)
    assert "agent" not in refused.reason.partition("other targets")[2].partition(".")[0]
    assert "that can be met together: rag" in refused.reason


def test_where_both_are_too_high_only_the_rates_together_are_named() -> None:
    refused = decide(1e5, 1e5)
    assert isinstance(refused, Infeasible)
    assert "With the other targets" not in refused.reason
    assert isinstance(decide(**together(refused.reason)), Plan)


@pytest.mark.parametrize("agent", [0.5, 3.9, 8.0])
def test_a_target_far_too_high_does_not_reduce_the_other_one_to_nothing(agent: float) -> None:
    """Scaled alike, 8/s became 0.0004/s beside a target of 1e5/s."""
    refused = decide(1e5, agent)
    assert isinstance(refused, Infeasible)
    rates = together(refused.reason)
    assert rates["agent"] > agent / 4
    assert rates["rag"] > 1
    assert isinstance(decide(**rates), Plan)
    assert "e-05 times its target" in refused.reason


@pytest.mark.parametrize("rate", [1e300, 1e9 * 1.1, 1e-300])
def test_a_target_out_of_all_proportion_is_refused_by_name(rate: float) -> None:
    with pytest.raises(BadInput, match=r"the targets: rate of 'rag': 1.*runs per second are"):
        decide(rate, 0.5)


def test_the_highest_target_has_a_right_reason() -> None:
    refused = decide(1e9, 0.5)
    assert isinstance(refused, Infeasible)
    assert isinstance(decide(**together(refused.reason)), Plan)


def together(reason: str) -> dict[str, float]:
    """The rates that a reason names as met together, by workflow."""
    named = re.findall(r"(\S+) ([\d.e+-]+)/s", reason.partition("together:")[2])
    return {workflow: float(rate) for workflow, rate in named}
