"""LLMs at endpoints in a plan: their time counts, their limit binds, they take no GPU."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, curve, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
from scepsy.errors import BadInput
from scepsy.planning.external import split_endpoints
from scepsy.planning.planner import plan
from scepsy.traces.summarize import summarize

GPT = LlmSpec(name="hosted", engine="endpoint", url="https://there/v1", rate_limit=4.0)


def limited(rate: float | None) -> LlmSpec:
    return msgspec.structs.replace(GPT, rate_limit=rate)


CALLED = [
    trace(call("ours", 0, 2, run=f"r{i}"), call("hosted", 2, 5, run=f"r{i}"), run=f"r{i}")
    for i in range(3)
]
OURS = LlmSpec(name="ours", parameters=1e9, max_tp=1, min_kv_tokens=1)
PROFILE = Profile(curves=(curve("ours", {0: 1.0, 9: 1.5}, max_throughput=10.0),))
ONE_GPU = Cluster(nodes=(Node(name="n", gpus=1),))


def decide(rate: float, llms: tuple[LlmSpec, ...] = (OURS, GPT)) -> Plan | Infeasible:
    return plan(CALLED, PROFILE, llms, ONE_GPU, [Target(workflow="w", rate=rate)])


def test_an_endpoints_time_counts_and_it_takes_no_gpu() -> None:
    decided = decide(1.0)
    assert isinstance(decided, Plan)
    (flow,) = decided.prediction.workflows
    assert flow.latency_mean == pytest.approx(3.0 + flow.stages[0].seconds)
    assert {one.llm for one in decided.placement.replicas} == {"ours"}
    assert decided.llms[-1] == GPT
    assert any("https://there/v1" in line for line in decided.explanation.summary)
    assert msgspec.json.decode(msgspec.json.encode(decided), type=Plan) == decided


def test_an_endpoints_rate_limit_is_infeasible_with_the_highest_rate() -> None:
    refused = decide(5.0)
    assert isinstance(refused, Infeasible)
    assert refused.binding == "rate limit of hosted"
    assert "w 3.99/s" in refused.reason  # rounded down, so that it can be met
    assert isinstance(decide(3.99), Plan)
    assert isinstance(decide(5.0, (OURS, limited(None))), Plan)


def test_a_workflow_of_endpoints_alone_is_nothing_to_plan() -> None:
    (demand,) = summarize([trace(call("hosted", 0, 1))])
    with pytest.raises(BadInput, match="leave out its target"):
        split_endpoints([demand], [GPT])


@given(st.lists(st.tuples(st.sampled_from(["ours", "hosted"]), st.floats(0, 9)), min_size=1))
def test_splitting_endpoints_off_keeps_the_total_time(calls: list[tuple[str, float]]) -> None:
    made = [call(llm, start, start + 1, call=str(i)) for i, (llm, start) in enumerate(calls)]
    (demand,) = summarize([trace(call("ours", 0, 1), *made)])
    ((remaining,), hosted) = split_endpoints([demand], [GPT, OURS])
    assert [part.llm for part in remaining.llms] == ["ours"]
    left = remaining.other_time + sum(part.busy for part in remaining.llms)
    assert left == pytest.approx(demand.other_time + sum(part.busy for part in demand.llms))
    assert len(hosted) == ("hosted" in {llm for llm, _ in calls})
    assert split_endpoints([remaining], [GPT, OURS]) == ((remaining,), ())
