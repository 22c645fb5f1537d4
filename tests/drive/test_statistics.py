"""Throughput is counted; whether the load is sustained is a verdict of its own."""

from __future__ import annotations

import heapq
import random
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.drive.arrivals import poisson
from scepsy.drive.result import RunOutcome
from scepsy.drive.statistics import measure
from scepsy.traces.latency_trend import latency_growth, standard_error


def queue(rate: float, servers: int, service: float, seconds: float, seed: int) -> list[RunOutcome]:
    """Runs through `servers` servers, first come first served; each takes `service` seconds."""
    rng = random.Random(seed)
    free = [0.0] * servers
    runs: list[RunOutcome] = []
    warmup = seconds / 2
    for time in poisson(rate, seconds + warmup, rng):
        begin = max(time, heapq.heappop(free))
        end = begin + service * rng.lognormvariate(-0.08, 0.4)
        heapq.heappush(free, end)
        runs.append(RunOutcome(arrival=time - warmup, latency=end - time))
    return runs


def measured(runs: list[RunOutcome]) -> list[RunOutcome]:
    return [run for run in runs if run.arrival >= 0]


@pytest.mark.parametrize("seed", range(5))
def test_overload_completes_at_the_service_rate_and_is_not_sustained(seed: int) -> None:
    runs = queue(rate=6.0, servers=8, service=2.0, seconds=120, seed=seed)
    earlier = [run.arrival + run.latency for run in runs if run.arrival < 0]
    found = measure("w", measured(runs), 120, earlier)
    assert found.verdict == "not sustained"
    assert found.throughput == pytest.approx(4.0, rel=0.06)


@pytest.mark.parametrize("seed", range(5))
def test_below_saturation_as_many_runs_complete_as_arrive(seed: int) -> None:
    runs = queue(rate=2.8, servers=8, service=2.0, seconds=120, seed=seed)
    earlier = [run.arrival + run.latency for run in runs if run.arrival < 0]
    found = measure("w", measured(runs), 120, earlier)
    ended = [run for run in runs if 0 <= run.arrival + run.latency < 120]
    assert found.verdict != "not sustained"
    assert found.throughput == len(ended) / 120
    assert found.throughput_low < found.throughput < found.throughput_high


def test_growth_is_rarely_seen_where_there_is_none() -> None:
    seen = [latency_growth(measured(queue(3.2, 8, 2.0, 60, seed))) > 0 for seed in range(100)]
    assert sum(seen) <= 6


@given(growth=st.floats(0.01, 3), count=st.integers(10, 200))
def test_growth_of_a_line_is_its_slope(growth: float, count: int) -> None:
    runs = [RunOutcome(arrival=i * 0.5, latency=1 + growth * i * 0.5) for i in range(count)]
    assert latency_growth(runs) == pytest.approx(growth)


def test_failed_runs_lower_throughput_and_do_not_count_in_latency() -> None:
    runs = [
        RunOutcome(
            arrival=float(i), latency=1.0 if i % 4 else 50.0, error=None if i % 4 else "boom"
        )
        for i in range(40)
    ]
    found = measure("w", runs, 40)
    assert (found.offered, found.completed, found.failed) == (40, 30, 10)
    assert found.throughput == pytest.approx(29 / 40)  # the last of the 30 ends with the window
    assert found.latency_p90 == 1.0


def test_no_p99_of_fewer_than_a_hundred_runs() -> None:
    runs = [RunOutcome(arrival=float(i), latency=1.0) for i in range(100)]
    assert measure("w", runs, 100).latency_p99 == 1.0
    assert measure("w", runs[:99], 100).latency_p99 is None


def test_an_interrupted_window_may_hold_no_finished_run_and_no_time() -> None:
    found = measure("w", [], 0.0, (), unfinished=3)
    assert (found.offered, found.completed, found.unfinished) == (3, 0, 3)
    assert (found.offered_rate, found.throughput) == (0.0, 0.0)
    assert found.latency_mean is None
    found = measure("w", [RunOutcome(arrival=0.5, latency=1.0)], 4.0, (), unfinished=3)
    assert (found.offered, found.offered_rate, found.throughput) == (4, 1.0, 0.25)


def test_no_successful_run_has_no_latency() -> None:
    found = measure("w", [RunOutcome(arrival=0.0, latency=1.0, error="boom")], 10)
    assert found.throughput == 0
    assert found.latency_mean is None
    assert found.latency_p99 is None
    assert found.standard_error is None


def test_standard_error_covers_the_spread_of_the_mean() -> None:
    samples = [queue(2.4, 8, 2.0, 60, seed) for seed in range(40)]
    spread = pstdev(fmean(run.latency for run in runs) for runs in samples)
    mean_error = fmean(standard_error(runs) or 0.0 for runs in samples)
    assert 0.5 * spread < mean_error < 2 * spread
