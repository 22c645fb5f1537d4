from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scepsy.routing import ReplicaLoad, choose

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
def test_takes_the_least_loaded_of_those_that_may(group, affinity, turn, tried):
    index = choose(group, affinity=affinity, turn=turn, tried=tried)
    may = [one for one in group if one.healthy and one.replica not in tried]
    if index is None:
        assert not may
    else:
        assert group[index] in may
        least = min((one.in_flight + 1) / one.capacity for one in may)
        assert (group[index].in_flight + 1) / group[index].capacity == least


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


@given(st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=1, max_size=5), st.integers(1, 80))
def test_load_stays_in_proportion_to_capacity(capacities, calls):
    """Calls that never end: nobody is more than one call ahead of another, relative to capacity."""
    group = [ReplicaLoad(f"r-{i}", 0, capacity) for i, capacity in enumerate(capacities)]
    for turn in range(calls):
        index = choose(group, affinity="same run", turn=turn)
        assert index is not None
        group[index] = replace(group[index], in_flight=group[index].in_flight + 1)
    for one in group:
        for other in group:
            assert one.in_flight / one.capacity <= (other.in_flight + 1) / other.capacity + 1e-9


def test_runs_spread_over_idle_replicas_and_few_move_when_one_goes():
    group = [ReplicaLoad(f"r-{i}", 0) for i in range(4)]
    before = {run: choose(group, affinity=f"run-{run}") for run in range(400)}
    assert all(60 < count < 140 for count in Counter(before.values()).values())
    after = {run: choose(group[:3], affinity=f"run-{run}") for run in range(400)}
    assert all(after[run] == index for run, index in before.items() if index != 3)
