"""Completed runs are counted; whether a load is sustained is a verdict, or is not known."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.statistics.quantiles import p99
from scepsy.traces.latency_trend import LoadVerdict, counted_rate, load_verdict, overall


@dataclass(frozen=True)
class Run:
    arrival: float
    latency: float


def queue(rate: float, runs: int, seed: int, *, servers: int = 8) -> list[Run]:
    """Poisson arrivals at servers that take two seconds on average: capacity is 4 runs/s."""
    rng = random.Random(seed)
    free = [0.0] * servers
    now, found = 0.0, []
    for _ in range(2 * runs):
        now += rng.expovariate(rate)
        begin = max(now, heapq.heappop(free))
        end = begin + 2.0 * rng.lognormvariate(-0.08, 0.4)
        heapq.heappush(free, end)
        found.append(Run(now, end - now))
    return found[runs:]


def test_a_load_well_below_capacity_is_sustained() -> None:
    verdicts = [load_verdict(queue(2.4, 400, seed)) for seed in range(40)]
    assert verdicts.count("not sustained") == 0
    assert verdicts.count("sustained") >= 38


def test_overload_is_not_sustained() -> None:
    assert {load_verdict(queue(6.0, 200, seed)) for seed in range(40)} == {"not sustained"}


@given(st.integers(0, 19), st.integers(0, 100))
def test_few_runs_are_no_verdict(runs: int, seed: int) -> None:
    assert load_verdict(queue(6.0, 20, seed)[:runs]) == "too short to tell"


def test_runs_that_outlast_the_measurement_are_no_proof_of_a_sustained_load() -> None:
    level = [Run(float(second), 40.0) for second in range(60)]
    assert load_verdict(level) == "too short to tell"
    assert load_verdict([Run(one.arrival, 4.0) for one in level]) == "sustained"


def test_noise_that_may_hide_growth_is_no_verdict() -> None:
    rng = random.Random(1)
    noisy = [Run(float(second), rng.choice([1.0, 12.0])) for second in range(30)]
    assert load_verdict(noisy) == "too short to tell"


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (("sustained", "sustained"), "sustained"),
        (("sustained", "too short to tell"), "too short to tell"),
        (("too short to tell", "not sustained"), "not sustained"),
        ((), "too short to tell"),
    ],
)
def test_workflows_together_get_the_worst_verdict(
    parts: tuple[LoadVerdict, ...], whole: LoadVerdict
) -> None:
    assert overall(parts) == whole


def test_completed_runs_are_counted_with_their_interval() -> None:
    found = counted_rate([-1.0, 0.0, 5.0, 9.9, 10.0, 30.0], 0.0, 10.0)
    assert (found.completed, found.per_second) == (3, 0.3)
    assert (found.low, found.high) == pytest.approx((0.082, 0.775), abs=0.005)  # exact Poisson
    assert counted_rate([], 0.0, 10.0).high == pytest.approx(0.30, abs=0.02)
    assert counted_rate([1.0], 5.0, 5.0).per_second == 0.0


def test_the_interval_holds_the_rate_as_often_as_it_says() -> None:
    rng = random.Random(0)
    held = 0
    for _ in range(400):
        ends = _poisson(0.5, 60.0, rng)
        found = counted_rate(ends, 0.0, 60.0)
        held += found.low <= 0.5 <= found.high
    assert 0.87 <= held / 400 <= 0.96


def _poisson(rate: float, seconds: float, rng: random.Random) -> list[float]:
    now, times = 0.0, []
    while (now := now + rng.expovariate(rate)) < seconds:
        times.append(now)
    return times


def test_fewer_than_a_hundred_values_have_no_p99() -> None:
    assert p99([float(value) for value in range(99)]) is None
    assert p99([float(value) for value in range(100, 0, -1)]) == pytest.approx(99.01)
