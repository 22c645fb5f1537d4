"""When runs arrive."""

from __future__ import annotations

import random
from itertools import accumulate


def arrivals(rate: float, runs: int, rng: random.Random, *, cv: float = 1.0) -> list[float]:
    """Rising times of `runs` arrivals in [0, runs / rate], whose gaps have the coefficient of
    variation `cv`: Gamma-distributed, and scaled so that their mean is exactly 1 / rate.

    With a CV of 1 that is a Poisson process, given its count: such gaps over their sum are those
    of sorted uniform times. A CV below a thousandth is a metronome.
    """
    if cv < 1e-3:
        return [(index + 0.5) / rate for index in range(runs)]
    shape = cv**-2
    gaps = [rng.gammavariate(shape, 1.0) for _ in range(runs + 1)]
    scale = runs / rate / sum(gaps)
    return [time * scale for time in accumulate(gaps[:-1])]
