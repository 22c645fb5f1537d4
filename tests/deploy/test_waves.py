"""Properties of an ordered change: what holds at every instant, and where it ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.core.cluster import Cluster, Node
from scepsy.deploy.changes.actions import Action, Refusal, Wave
from scepsy.deploy.changes.ledger import Ledger, parts_held
from scepsy.deploy.changes.likeness import gpus_of, near
from scepsy.deploy.changes.limits import Limits, Room, limits_of
from scepsy.deploy.changes.observed import (
    GpuId,
    Observed,
    ObservedReplica,
    ReplicaState,
    Wanted,
)
from scepsy.deploy.reconcile import after, diff, next_wave
from scepsy.testing.deployments import LLMS, fitting_replicas, observations, plan_of, replica
from scepsy.testing.strategies import clusters

FAULTS_MAX = 6
WAVES_MAX = 80


@dataclass(frozen=True)
class Case:
    wanted: Wanted
    observed: Observed
    limits: Limits


@st.composite
def cases(draw: st.DrawFn, *, healthy: bool = False) -> Case:
    """A plan, and a deployment of another one in any state; others may have taken parts of GPUs."""
    cluster = draw(clusters())
    taken = {
        (node.name, gpu): Room(0.2, 0.2)
        for node in cluster.nodes
        for gpu in range(node.gpus)
        if draw(st.integers(0, 4)) == 0
    }
    room = limits_of(plan_of(cluster, ()), taken=taken).gpus
    used = draw(st.fixed_dictionaries({llm: st.sampled_from((0.2, 0.5, 0.9)) for llm in "abc"}))
    old = draw(fitting_replicas(cluster, room))
    new = draw(fitting_replicas(cluster, room))
    plan = plan_of(cluster, new, used)
    observed = draw(observations(old, healthy=healthy))
    before = plan_of(cluster, old, used)
    return Case(Wanted(plan, 2), observed, limits_of(plan, before=before, taken=taken))


class World:
    """A deployment that carries out actions, and checks its limits at every instant."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.now = {one.name: one for one in case.observed.replicas}
        self.check()

    @property
    def observed(self) -> Observed:
        return replace(self.case.observed, replicas=tuple(self.now.values()))

    def check(self) -> None:
        ledger = Ledger(self.case.limits.gpus)
        for one in self.now.values():
            ledger.take(parts_held(one))
        assert not list(ledger.overdrawn())

    def serving(self) -> dict[str, float]:
        found = dict.fromkeys(LLMS, 0.0)
        for one in self.now.values():
            found[one.replica.llm] += one.serves * self.case.limits.capacity.given_by(one.replica)
        return found

    def begin(self, action: Action) -> None:
        """The action takes what it needs."""
        name, replica = action.replica.replica, action.replica
        match action.kind:
            case "start":
                was = self.now.get(name)
                assert was is None or was.state in ("starting", "sleeping")
                if was is None or was.state == "sleeping":
                    self.turns_are_free(gpus_of(replica))
                self.now[name] = ObservedReplica(
                    replica, "starting", routed=False, epoch=self.case.wanted.epoch
                )
            case "route":
                assert self.now[name].state in ("ready", "draining", "drained")
            case "drain":
                assert self.now[name].state in ("ready", "draining")
                self.now[name] = replace(self.now[name], state="draining", routed=False)
            case "stop":
                assert self.now[name].failed or not self.now[name].routed
        self.check()

    def turns_are_free(self, gpus: frozenset[GpuId]) -> None:
        for one in self.now.values():
            assert one.state != "starting" or not gpus & gpus_of(one.replica)

    def end(self, action: Action) -> None:
        """The action gives back what it can."""
        name = action.replica.replica
        done = after(Observed((self.now[name],)), Wave((action,)), self.case.wanted.epoch)
        del self.now[name]
        self.now |= {one.name: one for one in done.replicas}
        self.check()

    def breaks(self, name: str, state: ReplicaState) -> None:
        self.now[name] = replace(self.now[name], state=state)


Event = tuple[Literal["begin", "end"], Action]


def carry_out(world: World, wave: Wave, data: st.DataObject, faults: int) -> int:
    """Carries out a wave in any order, until it is done or, at a fault, is left as it is. Replicas
    break at other faults. Returns how many faults are left.
    """
    events: list[Event] = [("begin", action) for action in wave.actions]
    lack = {dip.llm: dip.missing for dip in wave.dips}
    capacity = world.case.limits.capacity
    least = {
        llm: min(given, capacity.floor(llm) * (1 - lack.get(llm, 0.0)))
        for llm, given in world.serving().items()
    }
    while events:
        what, action = events.pop(data.draw(st.integers(0, len(events) - 1)))
        if faults and data.draw(st.booleans()):
            faults -= 1
            alive = sorted(one.name for one in world.now.values() if one.state != "sleeping")
            broken = data.draw(st.sampled_from([None, *alive]))
            if broken is None:
                return faults  # whoever carries out the wave is gone
            world.breaks(broken, data.draw(st.sampled_from(("dead", "hung"))))
            least = {}
        one = world.now.get(action.replica.replica)
        if one is not None and one.failed and action.kind != "stop":
            continue  # nothing can be done with it
        if what == "begin":
            world.begin(action)
            events.append(("end", action))
        else:
            world.end(action)
        for llm, floor in least.items():
            assert world.serving()[llm] >= floor * (1 - 1e-6)
    return faults


def same_fleet(case: Case, observed: Observed) -> bool:
    """Whether exactly the plan runs, up to the choice between equal GPUs and near-equal shares."""
    left = [one.replica for one in observed.replicas]
    for wanted in case.wanted.replicas:
        found = next((one for one in left if near(one, wanted)), None)
        if found is None:
            return False
        left.remove(found)
    routed = all(one.serves and one.epoch == case.wanted.epoch for one in observed.replicas)
    return not left and routed and not any(one.outdated for one in observed.replicas)


@given(cases(), st.data())
@settings(max_examples=100, deadline=None)
def test_it_ends_as_wanted_whatever_fails_and_holds_its_limits_at_every_instant(
    case: Case, data: st.DataObject
) -> None:
    world = World(case)
    faults = data.draw(st.integers(0, FAULTS_MAX))
    for _ in range(WAVES_MAX):
        wave = next_wave(case.wanted, world.observed, case.limits, allow_dip=True)
        assert isinstance(wave, Wave), wave
        if wave.done:
            break
        faults = carry_out(world, wave, data, faults)
    else:
        raise AssertionError("it does not end")
    assert same_fleet(case, world.observed)


@given(cases())
@settings(max_examples=100, deadline=None)
def test_what_is_predicted_ends_as_wanted_and_then_nothing_changes(case: Case) -> None:
    change = diff(case.wanted, case.observed, case.limits, allow_dip=True)
    assert change.refusal is None
    state = case.observed
    for wave in change.waves:
        assert wave.actions
        assert max(Counter(one.replica.replica for one in wave.actions).values()) == 1
        state = after(state, wave, case.wanted.epoch)
    assert same_fleet(case, state)
    assert diff(case.wanted, state, case.limits).none


@given(cases())
@settings(max_examples=100, deadline=None)
def test_a_refusal_comes_first_says_who_lacks_how_much_and_is_lifted_by_allowing_it(
    case: Case,
) -> None:
    change = diff(case.wanted, case.observed, case.limits)
    allowed = diff(case.wanted, case.observed, case.limits, allow_dip=True)
    first = next_wave(case.wanted, case.observed, case.limits)
    if isinstance(first, Wave):
        assert change == allowed
        assert not change.dips
        return
    assert change.refusal == first
    assert not change.waves
    assert first.dips
    for dip in first.dips:
        assert 0 < dip.missing <= 1
        assert str(dip).startswith(f"{dip.llm} lacks ")
        assert dip.seconds is None or dip.seconds > 0
        if case.observed.start_seconds.keys() >= LLMS.keys():
            assert dip.seconds is not None
    foreseen = {dip.llm: dip.missing for dip in first.dips}
    for dip in allowed.dips:
        assert dip.missing <= foreseen[dip.llm] + 1e-9


@given(cases(healthy=True))
def test_a_first_deployment_has_no_floor(case: Case) -> None:
    assert diff(case.wanted, Observed(), case.limits).refusal is None


def test_an_older_plan_is_refused() -> None:
    cluster = Cluster(nodes=(Node(name="n", gpus=1),))
    plan = plan_of(cluster, (replica("a-0", ("n", 0)),))
    seen = Observed((ObservedReplica(replica("a-0", ("n", 0)), epoch=3),))
    refused = next_wave(Wanted(plan, 2), seen, limits_of(plan))
    assert isinstance(refused, Refusal)
    assert "plan 3" in refused.reason


def test_a_gpu_that_is_gone_or_taken_is_named() -> None:
    cluster = Cluster(nodes=(Node(name="n", gpus=1),))
    plan = plan_of(cluster, (replica("a-0", ("n", 0)),))
    gone = next_wave(Wanted(plan), Observed(), Limits(gpus={}))
    assert isinstance(gone, Refusal)
    assert "GPU 0 of n" in gone.reason
    taken = next_wave(
        Wanted(plan), Observed(), limits_of(plan, taken={("n", 0): Room(compute=0.0, memory=0.5)})
    )
    assert isinstance(taken, Refusal)
    assert "0.5 of its memory" in taken.reason


def test_weights_that_a_change_brings_onto_nodes_do_not_turn_it_round() -> None:
    """Once the first two run, the bytes that are left would be fewer with the nodes exchanged."""
    cluster = Cluster(nodes=(Node(name="m", gpus=1), Node(name="n", gpus=1)))
    wanted = (
        replica("a-0", ("m", 0), share=0.2),
        replica("b-1", ("m", 0), share=0.2),
        replica("b-2", ("m", 0), share=0.2),
        replica("b-3", ("n", 0), share=0.2, memory=0.5),
    )
    plan = plan_of(cluster, wanted)
    change = diff(Wanted(plan), Observed(), limits_of(plan))
    assert sum(len(wave.of("start")) for wave in change.waves) == len(wanted)
    assert not any(wave.of("drain") for wave in change.waves)
