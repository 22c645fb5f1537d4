"""A plan on the nodes that are left: who stays, who moves, and what is refused."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Infeasible, Plan
from scepsy.deploy.ray.replacing import replaced
from scepsy.testing.deploy_plans import plan_of


def cluster(nodes: int, gpus: int = 2, domain: int | None = None) -> Cluster:
    return Cluster(
        nodes=tuple(Node(name=f"w{i}", gpus=gpus, nvlink_domain=domain) for i in range(nodes))
    )


def test_only_the_replicas_of_a_lost_node_move() -> None:
    plan = plan_of(cluster(3), ("m", ["w0/0"], 1.0), ("m", ["w1/0"], 0.5), ("k", ["w1/1"], 1.0))
    moved = replaced(plan, {"w0", "w2"})
    assert isinstance(moved, Plan)
    assert [node.name for node in moved.cluster.nodes] == ["w0", "w2"]
    places = {one.replica: one.slices[0].node for one in moved.placement.replicas}
    assert places["m-0"] == "w0"
    assert set(places.values()) <= {"w0", "w2"}
    assert moved.allocation == plan.allocation


def test_a_group_stays_within_one_nvlink_domain() -> None:
    plan = plan_of(cluster(3, 4, 2), ("m", ["w0/0", "w0/1"], 1.0), ("k", ["w1/1"], 1.0))
    moved = replaced(plan, {"w1"})
    assert isinstance(moved, Plan)
    (group,) = [one.slices for one in moved.placement.replicas if one.llm == "m"]
    assert {(part.node, part.gpu) for part in group} == {("w1", 2), ("w1", 3)}


def test_what_does_not_fit_is_said() -> None:
    plan = plan_of(cluster(2), *(("m", [f"w{i}/{j}"], 1.0) for i in (0, 1) for j in (0, 1)))
    refusal = replaced(plan, {"w0"})
    assert isinstance(refusal, Infeasible)
    assert "without w1 the plan does not fit on what is left (2 GPUs on 1 nodes)" in refusal.reason


def test_no_node_left() -> None:
    refusal = replaced(plan_of(cluster(1), ("m", ["w0/0"], 1.0)), set())
    assert isinstance(refusal, Infeasible)
    assert "all nodes of the plan are lost: w0" in refusal.reason


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans on four nodes of two GPUs whose shares fit."""
    placed: list[tuple[str, list[str], float]] = []
    for node in range(4):
        for gpu in range(2):
            left = 1.0
            for share in draw(st.lists(st.sampled_from([0.25, 0.5, 1.0]), max_size=3)):
                if share <= left:
                    left -= share
                    llm = draw(st.sampled_from("mk"))
                    placed.append((llm, [f"w{node}/{gpu}"], share))
    return plan_of(cluster(4), *placed)


@given(plan=plans(), living=st.sets(st.sampled_from(["w0", "w1", "w2", "w3"])))
def test_no_gpu_is_given_away_twice_and_all_that_was_wanted_is_there(
    plan: Plan, living: set[str]
) -> None:
    moved = replaced(plan, living)
    if isinstance(moved, Infeasible):
        assert moved.reason
        return
    used: defaultdict[tuple[str, int], float] = defaultdict(float)
    for one in moved.placement.replicas:
        for part in one.slices:
            assert part.node in living
            used[part.node, part.gpu] += part.memory_share
    assert all(share <= 1 + 1e-6 for share in used.values())


def test_all_nodes_alive_changes_nothing() -> None:
    plan = plan_of(cluster(2), ("m", ["w0/0"], 1.0), ("k", ["w1/1"], 0.5))
    assert replaced(plan, {"w0", "w1", "another"}) is plan
