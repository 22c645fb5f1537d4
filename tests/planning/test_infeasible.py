"""Targets that cannot be met: which rates can."""

from __future__ import annotations

import re

import pytest

from builders import call, curve, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
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
    rates = re.findall(r"(\S+) ([\d.e+-]+)/s", refused.reason.partition("together:")[2])
    named = {flow: float(rate) for flow, rate in rates}
    assert isinstance(decide(named["rag"], named["agent"]), Plan)
