"""Quantiles of values, with or without weights."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np

P99_MIN = 100
"""Number of values that a 99th percentile needs. For fewer values it lies at or next to the largest
value, so it depends more on the number of values than on their distribution.
"""


def quantile(values: Sequence[float], q: float) -> float:
    """The q-quantile of at least one value in any order, linear between order statistics."""
    return float(np.quantile(values, q))


def quantiles(values: Sequence[float], qs: Iterable[float]) -> tuple[float, ...]:
    """Several quantiles of the same values, which are sorted once."""
    found = np.quantile(np.asarray(values), np.fromiter(qs, np.float64))
    return tuple(map(float, found))


def weighted_quantiles(
    values: Sequence[float], weights: Sequence[float], qs: Iterable[float]
) -> tuple[float, ...]:
    """For each q, the smallest value up to which the weights add up to the fraction q of all
    weights.
    """
    ranked, reached = zip(*sorted(zip(values, weights, strict=True)), strict=True)
    reached = list(accumulate(reached))
    places = [bisect_left(reached, q * reached[-1]) for q in qs]
    return tuple(ranked[min(place, len(ranked) - 1)] for place in places)


def p99(values: Sequence[float]) -> float | None:
    """The 99th percentile of values in any order; None for fewer than `P99_MIN`."""
    return quantile(values, 0.99) if len(values) >= P99_MIN else None
