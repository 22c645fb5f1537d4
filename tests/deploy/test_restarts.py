"""When a process is started again: at once, later, or not any more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scepsy.deploy.restarts import (
    Failure,
    GiveUp,
    Restart,
    RestartPolicy,
    WaitUntil,
    decide,
    in_a_row,
)

POLICY = RestartPolicy(first_wait=2, factor=2, longest_wait=10, most=5, steady=300)

failures = st.lists(
    st.builds(
        Failure,
        at=st.floats(0, 1e6),
        served=st.one_of(st.just(0.0), st.floats(0, 1e4)),
        why=st.just("it ended"),
    ),
    max_size=30,
)
policies = st.builds(
    RestartPolicy,
    first_wait=st.floats(0.1, 60),
    factor=st.floats(1, 10),
    longest_wait=st.floats(1, 600),
    most=st.integers(1, 2000),
    steady=st.floats(1, 1000),
)


def row(*at: float) -> list[Failure]:
    return [Failure(at=one, served=0.0, why="it ended") for one in at]


def test_the_first_restart_comes_at_once_and_waits_grow_to_a_limit() -> None:
    assert decide([], 0.0, POLICY) == Restart()
    assert decide(row(100), 100.0, POLICY) == Restart()
    assert decide(row(100, 101), 101.0, POLICY) == WaitUntil(103)
    assert decide(row(100, 101), 103.0, POLICY) == Restart()
    assert decide(row(100, 101, 104), 104.0, POLICY) == WaitUntil(108)
    assert decide(row(1, 2, 3, 4), 4.0, POLICY) == WaitUntil(12)
    assert decide(row(1, 2, 3, 4, 5), 1e9, POLICY) == GiveUp(5)


def test_after_steady_service_a_failure_is_the_first_of_its_row() -> None:
    served = Failure(at=1000, served=300, why="it ended")
    assert decide([*row(1, 2, 3, 4), served], 1000.0, POLICY) == Restart()
    assert in_a_row([*row(1, 2), served, *row(1001)], POLICY) == 2


@given(failures, policies, st.floats(0, 2e6))
def test_it_waits_no_longer_than_it_may_and_gives_up_for_good(
    seen: list[Failure], policy: RestartPolicy, now: float
) -> None:
    decision = decide(seen, now, policy)
    if isinstance(decision, WaitUntil):
        assert now < decision.at <= seen[-1].at + policy.longest_wait
        assert decide(seen, decision.at, policy) == Restart()
    if isinstance(decision, GiveUp):
        assert decide(seen, now + 1e9, policy) == decision
        assert in_a_row(seen, policy) >= policy.most
