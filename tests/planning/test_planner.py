"""From traces and curves to a plan that explains itself, or to the reason why there is none."""

from __future__ import annotations

import msgspec
import pytest

from builders import call, curve, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
from scepsy.errors import BadInput
from scepsy.planning.objective_text import objective_name
from scepsy.planning.planner import allocate, plan
from scepsy.planning.problem import Problem
from scepsy.planning.what_if import what_ifs
from scepsy.predict import Pipeline, responses
from scepsy.traces.summarize import summarize

TRACES = [
    trace(call("big", 0, 2, run=f"r{i}"), call("small", 2, 2.5, run=f"r{i}"), run=f"r{i}")
    for i in range(4)
]
PROFILE = Profile(
    curves=(
        curve("big", {0: 2.0, 1.8: 3.0}, max_throughput=2.0),
        curve("big", {0: 1.0, 3.6: 1.5}, tp=2, max_throughput=4.0),
        curve("small", {0: 0.4, 18: 0.6}, max_throughput=20.0),
        curve("small", {0: 0.6, 9: 0.8}, gpu_share=0.3, max_throughput=10.0),
    )
)
LLMS = [
    LlmSpec(name="big", parameters=20e9, max_tp=2, min_kv_tokens=1),
    LlmSpec(name="small", parameters=1e9, max_tp=1, min_kv_tokens=1),
]


def decide(rate: float, gpus: int = 4) -> Plan | Infeasible:
    cluster = Cluster(nodes=(Node(name="n", gpus=gpus),))
    return plan(TRACES, PROFILE, LLMS, cluster, [Target(workflow="w", rate=rate)])


def test_a_plan_is_complete_consistent_and_survives_its_file() -> None:
    decided = decide(1.0)
    assert isinstance(decided, Plan)
    parts = {part.llm: part for part in decided.allocation.llms}
    assert parts["big"].tp == 2  # a second saved is worth two GPUs when they are there
    assert len(decided.placement.replicas) == sum(part.replicas for part in parts.values())
    (flow,) = decided.prediction.workflows
    assert flow.throughput >= flow.target_rate
    assert decided.prediction.objective == pytest.approx(flow.latency_mean)
    assert msgspec.json.decode(msgspec.json.encode(decided), type=Plan) == decided


def test_a_plan_explains_bottleneck_what_ifs_and_runners_up() -> None:
    decided = decide(1.0)
    assert isinstance(decided, Plan)
    text = "\n".join(decided.explanation.summary)
    assert "saturates first" in text
    assert "One more GPU" in text
    assert "One fewer GPU" in text
    best = decided.prediction.objective
    assert decided.explanation.runners_up
    for other in decided.explanation.runners_up:
        assert other.objective >= best - 1e-9
        assert other.allocation != decided.allocation
        assert "instead of" in other.note


def test_more_gpus_never_hurt_and_a_higher_rate_never_helps() -> None:
    objectives = []
    for gpus in (2, 3, 4, 8):
        decided = decide(1.0, gpus)
        assert isinstance(decided, Plan)
        objectives.append(decided.prediction.objective)
    assert objectives == sorted(objectives, reverse=True)
    slow, fast = decide(0.5), decide(3.0)
    assert isinstance(slow, Plan)
    assert isinstance(fast, Plan)
    assert slow.prediction.objective <= fast.prediction.objective


@pytest.mark.parametrize("target", [50.0, 1e5, 1e9])
def test_an_unmeetable_target_names_what_binds_and_the_highest_rate_is_met(target: float) -> None:
    """However far the target is out of reach, the rate that is named is the same."""
    refused = decide(target)
    assert isinstance(refused, Infeasible)
    assert "highest rates" in refused.reason
    rate = float(refused.reason.rpartition("together: w ")[2].partition("/s")[0])
    assert isinstance(decide(rate * 0.99), Plan)
    assert isinstance(decide(rate * 1.02), Infeasible)


def test_an_llm_that_is_not_described_is_named() -> None:
    cluster = Cluster(nodes=(Node(name="n", gpus=4),))
    with pytest.raises(BadInput, match="'small'"):
        plan(TRACES, PROFILE, LLMS[:1], cluster, [Target(workflow="w", rate=1)])


def test_engines_on_one_gpu_are_reckoned_to_slow_each_other_down() -> None:
    """Two LLMs that read 27 GB of weights per 10 ms step want 1.6 times an H100's bandwidth."""
    curves = [
        curve(name, {0: 1.0, 9: 1.2}, gpu_share=share, max_throughput=10.0)
        for name in ("big", "small")
        for share in (0.3, 0.5)
    ]
    llms = [LlmSpec(name=n, parameters=13.5e9, max_tp=1, min_kv_tokens=1) for n in ("big", "small")]
    targets = [Target(workflow="w", rate=0.5)]
    profile = Profile(curves=tuple(curves))
    found = {}
    for gpus in (1, 2):
        cluster = Cluster(nodes=(Node(name="n", gpus=gpus),))
        found[gpus] = plan(TRACES, profile, llms, cluster, targets, share_step=0.5)
        assert isinstance(found[gpus], Plan)
    together, apart = found[1], found[2]
    assert "as long as without neighbours on its GPU" in "\n".join(together.explanation.summary)
    for stage in together.prediction.workflows[0].stages:
        assert 1.1 < stage.call_latency < 1.7
    assert apart.prediction.objective <= together.prediction.objective


@pytest.mark.parametrize("gpus", [1, 3])
def test_one_gpu_more_or_fewer_is_relative_to_the_gpu_limit(gpus: int) -> None:
    pipeline = Pipeline(
        summarize(TRACES), (Target(workflow="w", rate=1.0),), responses(PROFILE.curves)
    )
    problem = Problem(pipeline, tuple(LLMS), Cluster(nodes=(Node(name="n", gpus=8),)), 0.1)
    found = {what: allocate(one) for what, one in what_ifs(problem.within(gpus)).items()}
    assert found["One more GPU"] == allocate(problem.within(gpus + 1))
    fewer = found["One fewer GPU"]
    assert isinstance(fewer, Infeasible) or fewer.placement.gpus < gpus


def test_the_objective_is_named_by_what_it_sums() -> None:
    one, other = Target(workflow="a", rate=1.0), Target(workflow="b", rate=1.0)
    assert objective_name([one]) == "mean latency"
    assert objective_name([one, other]) == "sum of mean latencies"
    heavy = msgspec.structs.replace(other, weight=2.0)
    assert objective_name([one, heavy]) == "weighted sum of mean latencies"
    decided = decide(1.0)
    assert isinstance(decided, Plan)
    (more,) = [line for line in decided.explanation.summary if line.startswith("One more GPU")]
    assert more.endswith("% mean latency")
    assert all("% mean latency: " in other.note for other in decided.explanation.runners_up)


@pytest.mark.parametrize(("shares", "tp", "share"), [((1, 2), 2, 0.5), ((1, 1), 2, 1.0)])
def test_replicas_take_the_shares_into_which_nodes_divide_gpus(
    shares: tuple[int, int], tp: int, share: float
) -> None:
    nodes = tuple(
        Node(name=f"n{number}", gpus=2, shares_per_gpu=each) for number, each in enumerate(shares)
    )
    decided = plan(TRACES, PROFILE, LLMS, Cluster(nodes=nodes), [Target(workflow="w", rate=1.0)])
    assert isinstance(decided, Plan)
    parts = {part.llm: part for part in decided.allocation.llms}
    assert (parts["big"].tp, parts["small"].gpu_share) == (tp, share)
    assert {one.slices[0].node for one in decided.placement.replicas} == {"n0", "n1"}


def test_an_llm_that_is_larger_than_every_share_is_named() -> None:
    nodes = (Node(name="n0", gpus=4, shares_per_gpu=2),)
    decided = plan(TRACES, PROFILE, LLMS, Cluster(nodes=nodes), [Target(workflow="w", rate=1.0)])
    assert isinstance(decided, Infeasible)
    assert "'big' needs 0.52 of a GPU's memory, more than 1/2" in decided.reason
