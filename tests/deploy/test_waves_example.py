"""The example of docs/how-it-works/waves.md: its waves, and what its LLM can serve after each."""

from __future__ import annotations

import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Replica
from scepsy.deploy.changes.actions import Wave
from scepsy.deploy.changes.capacity import Capacity
from scepsy.deploy.changes.limits import Limits, limits_of
from scepsy.deploy.changes.observed import Observed, ObservedReplica, Wanted
from scepsy.deploy.reconcile import after, diff, next_wave
from scepsy.testing.deployments import plan_of, replica

CLUSTER = Cluster(nodes=(Node(name="n", gpus=3),))
RUNNING = (
    replica("generator-0", ("n", 0)),
    replica("generator-1", ("n", 1)),
    replica("judge-0", ("n", 2), share=0.5),
)
PLAN = plan_of(
    CLUSTER,
    (
        replica("generator-0", ("n", 1), share=0.5),
        replica("generator-1", ("n", 1), share=0.5),
        replica("generator-2", ("n", 2), share=0.5),
        replica("judge-0", ("n", 2), share=0.5),
    ),
)


def limits(load: float) -> Limits:
    sizes = {("generator", 1, 1.0): 10.0, ("generator", 1, 0.5): 5.0}
    return Limits(limits_of(PLAN).gpus, Capacity(needed={"generator": load}, by_size=sizes))


def observed(*replicas: Replica) -> Observed:
    return Observed(tuple(ObservedReplica(one) for one in replicas))


def told(wave: Wave) -> list[str]:
    return [f"{one.kind} {one.replica.replica}" for one in wave.actions]


def test_the_table() -> None:
    change = diff(Wanted(PLAN, 2), observed(*RUNNING), limits(8.0))
    assert [told(wave) for wave in change.waves] == [
        ["start generator-2", "route judge-0"],
        ["route generator-2"],
        ["drain generator-1"],
        ["stop generator-1"],
        ["start generator-3"],
        ["start generator-1", "route generator-3"],
        ["route generator-1"],
        ["drain generator-0"],
        ["stop generator-0"],
    ]
    state, served = observed(*RUNNING), [20.0]
    for wave in change.waves:
        state = after(state, wave, 2)
        given = [
            limits(8.0).capacity.given_by(one.replica)
            for one in state.replicas
            if one.serves and one.replica.llm == "generator"
        ]
        served.append(sum(given))
    assert served == [20, 20, 25, 15, 15, 15, 20, 25, 15, 15]
    where = {one.name: [part.gpu for part in one.replica.slices] for one in state.replicas}
    assert where == {
        "judge-0": [2],
        "generator-1": [1],
        "generator-2": [2],
        "generator-3": [1],
    }


def test_nothing_is_drained_while_a_start_may_still_add_capacity() -> None:
    """Generator 1 could leave at once, as far as the floor goes."""
    first = next_wave(Wanted(PLAN, 2), observed(*RUNNING), limits(1.0))
    assert isinstance(first, Wave)
    assert not first.of("drain")


def test_nothing_is_drained_while_one_that_stays_is_starting() -> None:
    """The rerank engine has to make room for the judge, and may, but its GPU is busy."""
    engines = (
        ObservedReplica(replica("generator-0", ("n", 0), share=0.5), "starting", routed=False),
        ObservedReplica(replica("rerank-0", ("n", 0), share=0.5)),
    )
    wanted = (engines[0].replica, replica("judge-0", ("n", 0), share=0.5))
    cluster = Cluster(nodes=(Node(name="n", gpus=1),))
    change = diff(Wanted(plan_of(cluster, wanted), 1), Observed(engines), limits(8.0))
    assert [told(wave) for wave in change.waves[:3]] == [
        ["start generator-0"],
        ["route generator-0", "drain rerank-0"],
        ["stop rerank-0"],
    ]


def test_without_room_on_gpu_2_the_load_decides() -> None:
    full = (*RUNNING, replica("rerank-0", ("n", 2), share=0.5))
    kept = plan_of(CLUSTER, (*PLAN.placement.replicas[:2], *full[2:]))
    change = diff(Wanted(kept, 2), observed(*full), limits(8.0))
    assert "drain generator-1" in told(change.waves[0])
    refused = diff(Wanted(kept, 2), observed(*full), limits(12.0)).refusal
    assert refused is not None
    assert [(dip.llm, dip.missing) for dip in refused.dips] == [("generator", pytest.approx(1 / 6))]
    assert str(refused.dips[0]) == (
        "generator lacks 17% of the capacity that its load needs until 2 more replicas serve; "
        "for how long is unknown, as not all such starts have been measured"
    )
