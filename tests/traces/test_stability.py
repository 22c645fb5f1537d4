"""How steady shares are, by hand and by property."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, trace
from scepsy.core.trace import Trace
from scepsy.traces.stability import (
    FIRST_DATE,
    PRECISION,
    RUNS_MIN_TO_COMPARE,
    Stability,
    rank_correlation,
    stability,
)

DAY = 86400.0


def run(number: int, first: float, second: float, start: float = 2e9) -> Trace:
    """A run that spends so many seconds in LLM a, then in b."""
    begin = start + number * DAY
    middle = begin + first
    return trace(call("a", begin, middle), call("b", middle, middle + second), run=str(number))


def one(runs: list[Trace]) -> Stability:
    [found] = stability(runs)
    return found


seconds = st.floats(0.01, 100)


@given(st.lists(st.tuples(seconds, seconds), min_size=1, max_size=30))
def test_shares_of_a_workflow_add_up_to_one(times: list[tuple[float, float]]) -> None:
    found = one([run(number, *each) for number, each in enumerate(times)])
    assert sum(part.share.mean for part in found.shares) == pytest.approx(1)
    assert found.runs == len(times)
    # Of two LLMs, what one's share gains the other's loses.
    spreads = [part.share.cv * part.share.mean for part in found.shares]
    assert spreads[0] == pytest.approx(spreads[1], abs=1e-6)


@given(st.lists(st.tuples(seconds, seconds), min_size=2, max_size=20), st.floats(0.1, 10))
def test_shares_do_not_depend_on_the_unit_of_time(
    times: list[tuple[float, float]], scale: float
) -> None:
    before = one([run(n, *each) for n, each in enumerate(times)])
    after = one([run(n, a * scale, b * scale) for n, (a, b) in enumerate(times)])
    for left, right in zip(
        sorted(before.shares, key=lambda part: part.llm),
        sorted(after.shares, key=lambda part: part.llm),
        strict=True,
    ):
        # Times are kept to the microsecond, of a run that may last ten milliseconds.
        assert left.share.mean == pytest.approx(right.share.mean, abs=1e-4)
        assert left.share.cv == pytest.approx(right.share.cv, abs=1e-3)


def test_constant_shares_under_wild_totals_are_what_the_premise_wants() -> None:
    rng = random.Random(0)
    found = one([run(n, 9 * (size := rng.uniform(1, 100)), size) for n in range(30)])
    assert found.llm_time is not None
    assert found.llm_time.cv > 0.4
    assert all(part.share.cv == pytest.approx(0, abs=1e-6) for part in found.shares)
    assert [part.more_runs for part in found.shares] == [0, 0]
    assert found.warnings == ()


def test_shares_that_vary_more_than_totals_are_warned_of() -> None:
    rng = random.Random(1)
    found = one([run(n, 10 * (part := rng.random()), 10 * (1 - part)) for n in range(40)])
    [unsteady, few] = found.warnings
    assert "a (CV" in unsteady
    assert "b (CV" in unsteady
    assert "as much as the LLM time of a run (CV 0.00)" in unsteady
    assert "40 runs are too few to know 2 of 2 mean shares to +-5%" in few


def test_a_share_that_grows_over_time_is_a_drift() -> None:
    rng = random.Random(2)
    runs = [run(n, 50 + n + rng.random(), 100 * rng.uniform(0.9, 1.1)) for n in range(40)]
    found = one(runs)
    assert any("share of a rises over time" in warning for warning in found.warnings)
    assert any("share of b falls over time" in warning for warning in found.warnings)
    rng.shuffle(runs)
    assert one(runs) == found  # order is of time, not of the list


def test_without_dates_there_is_no_order_in_time_and_no_drift() -> None:
    runs = [run(number, 1 + number, 20, start=0) for number in range(20)]
    assert runs[-1].start < FIRST_DATE
    assert [part.drift for part in one(runs).shares] == [None, None]


def test_the_runs_to_add_give_the_interval_that_was_asked_for() -> None:
    rng = random.Random(3)
    pair = [(rng.uniform(1, 2), rng.uniform(1, 2)) for _ in range(25)]
    found = one([run(n, *each) for n, each in enumerate(pair)]).shares[0]
    assert found.more_runs
    copies = -(-(25 + found.more_runs) // 25)  # runs to come that vary as these do
    more = one([run(n, *each) for n, each in enumerate(pair * copies)])
    again = next(part for part in more.shares if part.llm == found.llm)
    assert again.interval is not None
    assert again.interval <= PRECISION * again.share.mean
    assert found.interval is not None
    assert found.interval > PRECISION * found.share.mean


def test_few_runs_one_llm_and_unknown_durations_are_said() -> None:
    assert (
        f"trace at least {RUNS_MIN_TO_COMPARE}"
        in one([run(n, 1, n + 1) for n in range(4)]).warnings[0]
    )
    alone = [trace(call("a", 0, n + 1.0), run=str(n)) for n in range(20)]
    assert "it calls one LLM" in one(alone).warnings[0]
    untimed = [trace(call("a", 5, 5), call("b", 5, 6), run=str(n)) for n in range(3)]
    found = one(untimed)
    assert (found.runs, found.untimed, found.shares) == (0, 3, ())
    assert "has durations of all its calls" in found.warnings[0]


def test_failures_do_not_count_and_roles_may_stand_in() -> None:
    runs = [
        trace(call("a", 0, 1, call="plan/1"), call("a", 1, 4, call="code/1"), run="1"),
        trace(call("a", 0, 99), run="2", ok=False),
    ]
    [found] = stability(runs, lambda call: call.call.split("/")[0])
    assert [(part.llm, part.share.mean) for part in found.shares] == [
        ("code", 0.75),
        ("plan", 0.25),
    ]
    assert found.runs == 1


@given(st.lists(st.integers(-999, 999).map(float), min_size=2, max_size=30))
def test_rank_correlation_sees_order_only(values: list[float]) -> None:
    if len(set(values)) == 1:
        assert rank_correlation(values, values) is None
        return
    assert rank_correlation(values, values) == pytest.approx(1)
    assert rank_correlation(values, [-value for value in values]) == pytest.approx(-1)
    assert rank_correlation(values, [value**3 for value in values]) == pytest.approx(1)
