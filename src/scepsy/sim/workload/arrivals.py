"""Arrival times of runs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate, pairwise


def arrivals(rate: float, runs: int, rng: random.Random, *, cv: float = 1.0) -> list[float]:
    """Rising times of `runs` arrivals in [0, runs / rate]. Their gaps are Gamma-distributed with
    the coefficient of variation `cv`, and scaled so that their mean is exactly 1 / rate.

    With a CV of 1 this is a Poisson process, conditioned on its count: such gaps, divided by their
    sum, are distributed as those of sorted uniform times. Below a CV of 0.001 all gaps are equal.
    """
    if cv < 1e-3:
        return [(index + 0.5) / rate for index in range(runs)]
    shape = cv**-2
    gaps = [rng.gammavariate(shape, 1.0) for _ in range(runs + 1)]
    scale = runs / rate / sum(gaps)
    return [time * scale for time in accumulate(gaps[:-1])]


def recorded(rate: float, runs: int, rng: random.Random, *, times: Sequence[float]) -> list[float]:
    """Up to `runs` of the rising `times`, starting at a random one and continuing at the first
    after the last. Time is stretched so that the mean rate is `rate`; bursts keep their shape.
    """
    count = min(runs, len(times))
    span = times[-1] - times[0]
    mean_gap = span / max(1, len(times) - 1)
    gaps = [mean_gap, *(after - before for before, after in pairwise(times))]
    first = rng.randrange(len(times))
    gaps = (gaps[first:] + gaps[:first])[:count]
    total = sum(gaps) or 1.0
    return [count / rate * (time / total) for time in accumulate(gaps)]
