"""The fewest bytes are loaded, equal GPUs are interchangeable, and nothing moves for little."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Replica
from scepsy.deploy.changes.likeness import gpus_of, near
from scepsy.deploy.changes.limits import limits_of
from scepsy.deploy.changes.loading import Loading
from scepsy.deploy.changes.matching import Matched, matched
from scepsy.deploy.changes.observed import Observed, ObservedReplica, Wanted
from scepsy.deploy.changes.relabelling import relabelled
from scepsy.deploy.reconcile import diff
from scepsy.testing.deployments import LLMS, fitting_replicas, observations, plan_of, replica

CLUSTER = Cluster(nodes=(Node(name="m", gpus=2), Node(name="n", gpus=2)))
GPUS = [(node.name, gpu) for node in CLUSTER.nodes for gpu in range(node.gpus)]
ROOM = limits_of(plan_of(CLUSTER, ())).gpus


def match(wanted: tuple[Replica, ...], observed: Observed) -> Matched:
    plan = plan_of(CLUSTER, wanted)
    return matched(Wanted(plan, 2), observed, limits_of(plan))


def bytes_loaded(found: Matched, observed: Observed) -> float:
    loading = Loading.of(LLMS, observed)
    return sum(
        loading.bytes_of(
            new.replica.llm, new.replica.tp, (part.node for part in new.replica.slices)
        )
        for new in found.start
    )


def least_bytes(wanted: tuple[Replica, ...], observed: Observed) -> float:
    """The fewest bytes over all permutations of the GPUs."""
    loading = Loading.of(LLMS, observed)

    def cost(to: tuple[tuple[str, int], ...]) -> float:
        left = [one.replica for one in observed.replicas if not one.failed and not one.outdated]
        total = 0.0
        for one in (relabelled(each, dict(zip(GPUS, to, strict=True))) for each in wanted):
            same = [old for old in left if near(old, one) and gpus_of(old) == gpus_of(one)]
            if same:
                left.remove(same[0])
            else:
                total += loading.bytes_of(one.llm, one.tp, (part.node for part in one.slices))
        return total

    return min(map(cost, permutations(GPUS)))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_no_permutation_of_the_gpus_loads_fewer_bytes(data: st.DataObject) -> None:
    """Where weights are on nodes, only among GPUs that nothing has to leave."""
    single = [one for one in data.draw(fitting_replicas(CLUSTER, ROOM)) if one.tp == 1]
    running = [one for one in data.draw(fitting_replicas(CLUSTER, ROOM)) if one.tp == 1]
    observed = data.draw(observations(running))
    if data.draw(st.booleans()):
        observed = replace(observed, weights=frozenset[tuple[str, str]]())
    else:
        observed = replace(observed, replicas=())
    found = match(tuple(single), observed)
    assert bytes_loaded(found, observed) <= least_bytes(tuple(single), observed) + 1.0


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_every_wanted_replica_is_kept_or_started_once(data: st.DataObject) -> None:
    wanted = data.draw(fitting_replicas(CLUSTER, ROOM))
    observed = data.draw(observations(data.draw(fitting_replicas(CLUSTER, ROOM))))
    found = match(wanted, observed)
    there = [one.replica for one in found.keep] + [new.replica for new in found.start]
    assert len({one.replica for one in there}) == len(there) == len(wanted)
    left = list(wanted)
    for one in there:
        left.remove(next(each for each in left if near(one, each)))
    old = {one.name for one in (*found.keep, *found.leave, *found.failed)}
    assert old == {one.name for one in observed.replicas}
    assert len(found.keep) + len(found.leave) + len(found.failed) == len(observed.replicas)
    for one in found.start:
        (domain,) = {part.node for part in one.replica.slices}
        assert domain in ("m", "n")


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_the_same_plan_on_other_gpus_changes_nothing(data: st.DataObject) -> None:
    """Also with other names and shares that differ by less than two percent."""
    single = [one for one in data.draw(fitting_replicas(CLUSTER, ROOM)) if one.tp == 1]
    to = dict(zip(GPUS, data.draw(st.permutations(GPUS)), strict=True))
    factor = data.draw(st.sampled_from((1.0, 0.99)))
    running = [
        msgspec.structs.replace(
            _smaller(relabelled(one, to), factor), replica=f"{one.llm}-x{number}"
        )
        for number, one in enumerate(single)
    ]
    plan = plan_of(CLUSTER, single)
    seen = Observed(tuple(ObservedReplica(one) for one in running))
    assert diff(Wanted(plan), seen, limits_of(plan)).none


def _smaller(one: Replica, factor: float) -> Replica:
    slices = tuple(
        msgspec.structs.replace(
            part, gpu_share=part.gpu_share * factor, memory_share=part.memory_share * factor
        )
        for part in one.slices
    )
    return msgspec.structs.replace(one, slices=slices)


def test_a_group_of_gpus_moves_as_a_whole() -> None:
    running = Observed((ObservedReplica(replica("a-0", ("n", 0), ("n", 1))),))
    wanted = (replica("a-0", ("m", 0), ("m", 1)), replica("b-0", ("n", 1)))
    found = match(wanted, running)
    assert [one.name for one in found.keep] == ["a-0"]
    (start,) = found.start
    assert start.replica.llm == "b"
    assert start.replica.slices[0].node == "m"


def test_a_replica_that_is_a_little_larger_stays_only_where_there_is_room() -> None:
    running = Observed((ObservedReplica(replica("a-0", ("m", 0), share=0.505)),))
    beside = replica("b-0", ("m", 0), share=0.5)
    alone = (replica("a-0", ("m", 0), share=0.5),)
    assert not match(alone, running).start
    assert [new.replica.llm for new in match((*alone, beside), running).start] == ["a", "b"]


def test_a_start_takes_the_place_of_a_replica_of_its_llm_on_the_same_node() -> None:
    running = Observed(
        (
            ObservedReplica(replica("a-0", ("m", 0), share=0.2)),
            ObservedReplica(replica("a-1", ("n", 0), share=0.2)),
        )
    )
    found = match((replica("a-0", ("n", 1), share=0.7),), running)
    (start,) = found.start
    assert start.replica.replica == "a-2"  # both names are taken
    assert start.replica.slices[0].node in ("m", "n")
    (place,) = {part.node for part in start.replica.slices}
    assert start.replaces == {"m": "a-0", "n": "a-1"}[place]


def test_a_sleeping_replica_is_woken_and_nothing_else_is_started() -> None:
    asleep = ObservedReplica(replica("a-0", ("m", 1)), state="sleeping", memory_held=0.05)
    plan = plan_of(CLUSTER, (replica("a-0", ("n", 0)),))
    change = diff(Wanted(plan), Observed((asleep,)), limits_of(plan))
    assert [[(one.kind, one.reason) for one in wave.actions] for wave in change.waves] == [
        [("start", "it wakes")],
        [("route", "it is ready")],
    ]


def test_weights_on_a_node_draw_a_start_there_and_never_into_what_still_runs() -> None:
    """The plan exchanges two LLMs that have to be restarted: each has its weights where it ran."""
    old = (replica("a-0", ("m", 0)), replica("b-0", ("n", 0)))
    running = tuple(ObservedReplica(one, outdated=True) for one in old)
    weights = frozenset({("m", "a"), ("n", "b")})
    wanted = (replica("a-0", ("n", 0)), replica("b-0", ("m", 0)))

    def places(observed: Observed, plan: tuple[Replica, ...]) -> list[tuple[str, str, int]]:
        found = match(plan, observed).start
        return [(new.replica.llm, p.node, p.gpu) for new in found for p in new.replica.slices]

    assert places(Observed(running), wanted) == [("a", "n", 0), ("b", "m", 0)]
    told = Observed(running, weights)
    assert sorted(places(told, wanted)) == [("a", "m", 1), ("b", "n", 1)]
    # The GPU that the plan names is free, and those with the weights are not.
    full = tuple(ObservedReplica(replica(f"c-{gpu}", ("m", gpu)), outdated=True) for gpu in (0, 1))
    assert places(Observed(full, weights), wanted[:1]) == [("a", "n", 0)]


def test_replicas_that_run_are_no_weights_that_stay_on_a_node() -> None:
    """They come and go during a change, and its choice of GPUs would change with them."""
    running = ObservedReplica(replica("a-0", ("n", 0)), epoch=1)
    kept = frozenset({("m", "a")})
    alone = Loading.of(LLMS, Observed(weights=kept))
    assert Loading.of(LLMS, Observed((running,), weights=kept)) == alone
    assert alone.bytes_of("a", 1, ["m"]) < alone.bytes_of("a", 1, ["n"])
