"""Which rate to measure next, once saturation is known (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

NEAREST = 0.06
"""Rates closer to one another than this part of the highest are not worth a point each."""


@dataclass(frozen=True, slots=True)
class KnownRate:
    """What is known at one rate: mean latency, half the width of its interval, rounds spent."""

    rate: float
    latency: float
    half_width: float
    rounds: int = 1


@dataclass(frozen=True, slots=True)
class _Doubt:
    """How far off the curve may be at `rate`, relative to itself, and how much of that another
    round there would take away.
    """

    rate: float
    size: float
    gain: float


def next_rate(known: Sequence[KnownRate], top: float, precision: float) -> float | None:
    """Where another round helps most: at a point whose interval is wide, or between two where the
    curve bends; None where nothing is off by more than `precision`, and every point was measured
    twice.

    `known` has rising rates, the first of them the idle engine's, 0. The highest to measure is
    `top`; it comes first.
    """
    if known[-1].rate < (1 - NEAREST) * top:
        return top
    doubts = [doubt for doubt in _doubts(known, top) if doubt.size > precision]
    return max(doubts, key=lambda doubt: (doubt.gain, -doubt.rate)).rate if doubts else None


def _doubts(known: Sequence[KnownRate], top: float) -> list[_Doubt]:
    noisy = [_noise(load) for load in known]
    bent = [
        _Doubt((low.rate + high.rate) / 2, size, 0.75 * size)  # half the width, a quarter the bend
        for index, (low, high) in enumerate(pairwise(known))
        if high.rate - low.rate > 2 * NEAREST * top
        for size in [_bend(known, index)]
    ]
    return noisy + bent


def _noise(load: KnownRate) -> _Doubt:
    """One round alone cannot tell what another minute of the machine would have said: it is never
    sure.
    """
    size = load.half_width / load.latency
    gain = size * (1 - math.sqrt(load.rounds / (load.rounds + 1)))
    return _Doubt(load.rate, size if load.rounds > 1 else math.inf, gain)


def _bend(known: Sequence[KnownRate], index: int) -> float:
    """Relative error of the straight line in the middle of interval `index`, from the larger of the
    second divided differences beside it; inf where there are but two points.
    """
    triples = [known[i : i + 3] for i in (index - 1, index) if 0 <= i <= len(known) - 3]
    if not triples:
        return math.inf
    low, high = known[index], known[index + 1]
    half = (high.rate - low.rate) / 2
    curvature = max(abs(_second_difference(*triple)) for triple in triples)
    return curvature * half**2 / ((low.latency + high.latency) / 2)


def _second_difference(one: KnownRate, two: KnownRate, three: KnownRate) -> float:
    first = (two.latency - one.latency) / (two.rate - one.rate)
    second = (three.latency - two.latency) / (three.rate - two.rate)
    return (second - first) / (three.rate - one.rate)
