"""Throughput of runs under load, the trend of their latency, and whether the load was sustained
(pure). Both `scepsy simulate` and `scepsy drive` use it.

Throughput is the number of completed runs divided by the seconds. The trend of latency shows
whether the offered rate is *sustained*. If runs arrive at rate `a` and their latency grows by `g`
seconds per second, they leave at rate `a / (1 + g)`, and the queue grows at the difference of the
two rates.

Consecutive runs wait in the same queue, so their latencies are autocorrelated, and a t-test or a
standard error over single runs would be wrong. Both use the means of ten batches of consecutive
runs (batch means). With single runs and t > 2, 22% of the simulations at 80% load showed a growth
that did not exist. With batches and t > 3 it is 2%, and an overload of 1.5 is still always found.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, Protocol

from scepsy.core.record import Record
from scepsy.statistics import batch_means

LoadVerdict = Literal["sustained", "not sustained", "too short to tell"]

SIGNIFICANT = 3.0
"""Standard errors by which a slope must exceed 0 to count as a growth of latency."""
EXCLUDED = 1.86
"""Standard errors above the estimate beyond which a slope is excluded: the one-sided 95% quantile
of Student's t with eight degrees of freedom, as a line through ten batches has.
"""
MATERIAL_GROWTH = 0.05
"""Growth of latency, in seconds per second, below which a load counts as sustained. More than 95%
of the offered runs are then served as they arrive, and a measurement of a minute cannot distinguish
a smaller growth from a queue that has not reached its steady state.
"""
MIN_RUNS = 20
"""Runs that a verdict needs. With fewer, a batch has a single run, and its mean is as noisy."""
LONGEST_LATENCY = 0.25
"""The largest mean latency for a verdict of "sustained", relative to the time in which runs
arrived. If runs take longer, the last ones have not waited in the queue of the first ones, so a
constant latency does not show that the load is sustained.
"""
NINETY_PERCENT = 1.645
"""Standard deviations to either side that hold 90% of a normal distribution."""


class Timed(Protocol):
    """A run: the second at which it was due, and the seconds from then to its end."""

    @property
    def arrival(self) -> float: ...
    @property
    def latency(self) -> float: ...


class CountedRate(Record, frozen=True, kw_only=True):
    """Runs completed in a window, and runs per second with the 90% interval of a Poisson count."""

    completed: int
    per_second: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Trend:
    """The slope of latency over arrival time in seconds per second, and its standard error."""

    slope: float
    error: float


def load_verdict(runs: Sequence[Timed]) -> LoadVerdict:
    """Whether the rate at which these runs arrived is sustained. `runs`: the successful ones in
    order of arrival, without those of a warm-up.

    "not sustained": latency grows significantly, and by more than `MATERIAL_GROWTH`.
    "sustained": a growth of that size is excluded with 95% confidence.
    "too short to tell": neither of the two, because there are too few runs, or they take too long
    or vary too much.
    """
    trend = latency_trend(runs)
    if len(runs) < MIN_RUNS or trend is None:
        return "too short to tell"
    if trend.slope > max(MATERIAL_GROWTH, SIGNIFICANT * trend.error):
        return "not sustained"
    seconds = runs[-1].arrival - runs[0].arrival
    if fmean(run.latency for run in runs) > LONGEST_LATENCY * seconds:
        return "too short to tell"
    excluded = trend.slope + EXCLUDED * trend.error <= MATERIAL_GROWTH
    return "sustained" if excluded else "too short to tell"


def overall(verdicts: Iterable[LoadVerdict]) -> LoadVerdict:
    """The verdict on several workflows that share GPUs: the worst of their verdicts."""
    found = set(verdicts)
    if "not sustained" in found:
        return "not sustained"
    return "sustained" if found == {"sustained"} else "too short to tell"


def counted_rate(ends: Iterable[float], begin: float, end: float) -> CountedRate:
    """Runs per second that completed in [begin, end). `ends`: the times at which successful runs
    ended, including runs that arrived before `begin`.

    The interval is Byar's approximation to the exact interval of a Poisson count (Breslow and Day,
    Statistical Methods in Cancer Research II, 1987); completions under steady load vary no more
    than a Poisson count. All zero for an empty window.
    """
    seconds = end - begin
    if seconds <= 0:
        return CountedRate(completed=0, per_second=0.0, low=0.0, high=0.0)
    count = sum(begin <= time < end for time in ends)
    low = count * _byar(count, -NINETY_PERCENT) if count else 0.0
    high = (count + 1) * _byar(count + 1, NINETY_PERCENT)
    return CountedRate(
        completed=count, per_second=count / seconds, low=low / seconds, high=high / seconds
    )


def _byar(count: int, deviations: float) -> float:
    return (1 - 1 / (9 * count) + deviations / (3 * math.sqrt(count))) ** 3


def latency_trend(runs: Sequence[Timed]) -> Trend | None:
    """The least-squares slope of latency over arrival time, of batch means. None for fewer than
    three batches, or if all runs arrived at once.
    """
    points = batches(runs)
    if len(points) < 3:
        return None
    time = fmean(x for x, _ in points)
    latency = fmean(y for _, y in points)
    spread = sum((x - time) ** 2 for x, _ in points)
    if spread == 0.0:
        return None
    slope = sum((x - time) * (y - latency) for x, y in points) / spread
    residual = sum((y - latency - slope * (x - time)) ** 2 for x, y in points)
    return Trend(slope, math.sqrt(residual / (len(points) - 2) / spread))


def latency_growth(runs: Sequence[Timed]) -> float:
    """The slope of latency over arrival time in seconds per second; 0 unless it is significantly
    positive (`SIGNIFICANT`).
    """
    trend = latency_trend(runs)
    if trend is None or trend.slope <= SIGNIFICANT * trend.error:
        return 0.0
    return trend.slope


def standard_error(runs: Sequence[Timed]) -> float | None:
    """The standard error of the mean latency in seconds; None for fewer than two runs."""
    return batch_means.standard_error([latency for _, latency in batches(runs)])


def batches(runs: Sequence[Timed]) -> list[tuple[float, float]]:
    """Mean arrival time and mean latency of up to ten batches of consecutive runs."""
    return [
        (fmean(run.arrival for run in batch), fmean(run.latency for run in batch))
        for batch in batch_means.consecutive(runs)
    ]
