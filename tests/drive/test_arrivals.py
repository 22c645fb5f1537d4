"""Arrivals are Poisson, with an exact count, and inputs come equally often."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice, pairwise
from statistics import fmean, pvariance

from hypothesis import given
from hypothesis import strategies as st

from scepsy.drive.arrivals import poisson, schedule

rates = st.floats(0.05, 20)
durations = st.floats(0, 100)


@given(rate=rates, duration=durations, seed=st.integers())
def test_count_is_exact_and_times_rise_within_the_window(
    rate: float, duration: float, seed: int
) -> None:
    times = poisson(rate, duration, random.Random(seed))
    assert len(times) == round(rate * duration)
    assert times == sorted(times)
    assert all(0 <= time <= duration for time in times)


def test_it_is_as_bursty_as_poisson() -> None:
    rng = random.Random(1)
    gaps: list[float] = []
    counts: list[int] = []
    for _ in range(200):
        times = poisson(2.0, 100.0, rng)
        gaps += [b - a for a, b in pairwise(times)]
        counts += Counter(int(time) for time in times if time < 100).values()
    assert abs(pvariance(gaps) ** 0.5 / fmean(gaps) - 1) < 0.05  # exponential gaps: CV 1
    empty = 200 * 100 - len(counts)
    assert abs(empty / 20000 - 0.135) < 0.02  # exp(-2) of the seconds are empty


@given(
    rate=rates,
    warmup=st.floats(0, 20),
    duration=st.floats(1, 50),
    inputs=st.integers(0, 9),
    seed=st.integers(),
)
def test_schedule_is_warmup_then_window_then_tail(
    rate: float, warmup: float, duration: float, inputs: int, seed: int
) -> None:
    count = round(rate * warmup) + round(rate * duration) + 5
    arrivals = list(
        islice(schedule(rate, warmup, duration, range(inputs), random.Random(seed)), count)
    )
    times = [arrival.time for arrival in arrivals]
    assert times == sorted(times)
    measured = [arrival for arrival in arrivals if arrival.measured]
    assert len(measured) == round(rate * duration)
    assert all(0 <= arrival.time <= duration for arrival in measured)
    uses = Counter(arrival.inputs for arrival in measured)
    assert max(uses.values(), default=0) - min(uses.values(), default=0) <= max(1, inputs == 0)
    if len(measured) >= inputs > 0:
        assert len(uses) == inputs


def test_same_seed_same_schedule() -> None:
    def first() -> list[object]:
        return list(islice(schedule(1.0, 5, 20, "abc", random.Random("0/w")), 40))

    assert first() == first()
