from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scepsy.routing.choose import EXTRA_CALLS_MAX, LOAD_FACTOR_MAX, ReplicaLoad, choose, priority
from scepsy.routing.indexed import ARRAY_MIN, Fleet

loads = st.builds(
    ReplicaLoad,
    replica=st.sampled_from([f"r-{i}" for i in range(8)]),
    in_flight=st.integers(0, 20),
    capacity=st.sampled_from([0.3, 0.5, 1.0, 2.0]),
    healthy=st.booleans(),
)
groups = st.lists(loads, max_size=6, unique_by=lambda one: one.replica)
affinities = st.none() | st.text(max_size=5)
names = st.sets(st.sampled_from([f"r-{i}" for i in range(8)]))


@given(groups, affinities, st.integers(0, 100), names)
def test_takes_one_near_the_least_loaded_of_those_that_may(group, affinity, turn, tried):
    index = choose(group, affinity=affinity, turn=turn, tried=tried)
    may = [one for one in group if one.healthy and one.replica not in tried]
    if index is None:
        assert not may
    else:
        assert group[index] in may
        least = min((one.in_flight + 1) / one.capacity for one in may)
        load = (group[index].in_flight + 1) / group[index].capacity
        assert (
            load == least if affinity is None else load <= LOAD_FACTOR_MAX * least + EXTRA_CALLS_MAX
        )


@given(groups, st.text(max_size=5), st.randoms())
def test_affinity_does_not_depend_on_the_order(group, affinity, rng):
    index = choose(group, affinity=affinity)
    shuffled = rng.sample(group, len(group))
    again = choose(shuffled, affinity=affinity)
    assert (index is None) == (again is None)
    if index is not None and again is not None:
        assert group[index] == shuffled[again]


@given(st.integers(1, 6), st.integers(1, 6))
def test_without_affinity_equals_take_turns(count, rounds):
    group = [ReplicaLoad(f"r-{i}", 0) for i in range(count)]
    taken = Counter(choose(group, turn=turn) for turn in range(count * rounds))
    assert taken == dict.fromkeys(range(count), rounds)


@given(
    st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=1, max_size=5),
    st.integers(1, 80),
    st.booleans(),
)
def test_load_stays_in_proportion_to_capacity(capacities, calls, tied):
    """Calls that never end: without a run nobody is more than one call ahead of another, relative
    to capacity; calls of one run leave nobody out.
    """
    group = [ReplicaLoad(f"r-{i}", 0, capacity) for i, capacity in enumerate(capacities)]
    for turn in range(calls):
        index = choose(group, affinity="same run" if tied else None, turn=turn)
        assert index is not None
        group[index] = replace(group[index], in_flight=group[index].in_flight + 1)
    for one in group:
        for other in group:
            least = (other.in_flight + 1) / other.capacity + 1e-9
            most = LOAD_FACTOR_MAX * least + EXTRA_CALLS_MAX if tied else least
            assert one.in_flight / one.capacity <= most


@given(
    st.integers(1, 2 * ARRAY_MIN),
    st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2 * ARRAY_MIN), st.integers(0, 9), st.text(max_size=5))),
)
def test_a_fleet_that_is_told_of_loads_chooses_as_if_it_were_asked(count, capacities, steps):
    group = [ReplicaLoad(f"r-{i}", i % 3, capacities[i % len(capacities)]) for i in range(count)]
    fleet = Fleet(group)
    for place, in_flight, affinity in steps:
        index = place % count
        group[index] = replace(group[index], in_flight=in_flight)
        fleet.changed(index, in_flight)
        assert fleet.choose(affinity) == choose(group, affinity=affinity)


def test_runs_spread_over_idle_replicas_and_few_move_when_one_goes():
    group = [ReplicaLoad(f"r-{i}", 0) for i in range(4)]
    before = {run: choose(group, affinity=f"run-{run}") for run in range(400)}
    assert all(60 < count < 140 for count in Counter(before.values()).values())
    after = {run: choose(group[:3], affinity=f"run-{run}") for run in range(400)}
    assert all(after[run] == index for run, index in before.items() if index != 3)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=40))
def test_calls_of_a_run_stay_together_while_others_come_and_go(steps):
    """A run's calls one at a time: however others load the replicas, within reason, it stays."""
    group = [ReplicaLoad(f"r-{i}", 0) for i in range(2)]
    home = choose(group, affinity="run")
    for one, other in steps:
        group = [replace(group[0], in_flight=one), replace(group[1], in_flight=other)]
        here, there = group[home].in_flight + 1, group[1 - home].in_flight + 1
        stays = here <= LOAD_FACTOR_MAX * min(here, there) + EXTRA_CALLS_MAX
        assert (choose(group, affinity="run") == home) == stays


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_earlier_runs_go_first(one, other):
    assert (priority(one) <= priority(other)) or one > other
    assert priority(one + 1) > priority(one)
    assert -(2**63) <= priority(one) < 2**63
