"""Chooses the rate to measure next, once saturation is known (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

SPACING_MIN = 0.06
"""Smallest distance of two rates, as a part of the highest one. Between nearer ones the curve bends
less than it is uncertain.
"""

_BEND_REMOVED = 0.75
"""Part of an interval's interpolation error that one more point removes. The error grows with the
square of the interval, so in half the interval it is a quarter.
"""


@dataclass(frozen=True, slots=True)
class KnownRate:
    """The measured latency at one rate (calls per second).

    Attributes:
        latency: mean, in seconds.
        half_width: half the width of its 95% interval, in seconds.
        rounds: rounds measured at this rate.
    """

    rate: float
    latency: float
    half_width: float
    rounds: int = 1


@dataclass(frozen=True, slots=True)
class _Uncertainty:
    """How far the curve may be off at `rate`, relative to the latency there.

    `gain` is how much of `size` another round at this rate would remove.
    """

    rate: float
    size: float
    gain: float


def next_rate(known: Sequence[KnownRate], top: float, precision: float) -> float | None:
    """The rate at which another round helps most: at a point whose interval is wide, or between two
    points where the curve bends. None where every point was measured twice and no uncertainty is
    above `precision` (relative to the latency).

    `known` has rising rates, of which the first is 0, the idle engine. The highest rate to measure,
    `top`, is measured before all others.
    """
    if known[-1].rate < (1 - SPACING_MIN) * top:
        return top
    found = [one for one in _uncertainties(known, top) if one.size > precision]
    return max(found, key=lambda one: (one.gain, -one.rate)).rate if found else None


def _uncertainties(known: Sequence[KnownRate], top: float) -> list[_Uncertainty]:
    noisy = [_noise(load) for load in known]
    bent = [
        _Uncertainty((low.rate + high.rate) / 2, size, _BEND_REMOVED * size)
        for index, (low, high) in enumerate(pairwise(known))
        if high.rate - low.rate > 2 * SPACING_MIN * top
        for size in [_bend(known, index)]
    ]
    return noisy + bent


def _noise(load: KnownRate) -> _Uncertainty:
    """The uncertainty of one point. After one round it is infinite, because a single round does not
    show how much the machine itself varies from one minute to the next.
    """
    size = load.half_width / load.latency
    gain = size * (1 - math.sqrt(load.rounds / (load.rounds + 1)))
    return _Uncertainty(load.rate, size if load.rounds > 1 else math.inf, gain)


def _bend(known: Sequence[KnownRate], index: int) -> float:
    """Relative error of interpolation in the middle of interval `index`, where the planner takes
    the reciprocal of latency for linear (`scepsy.predict.response`): from the larger of the second
    divided differences of the neighbouring points; infinite for only two points.
    """
    triples = [known[i : i + 3] for i in (index - 1, index) if 0 <= i <= len(known) - 3]
    if not triples:
        return math.inf
    low, high = known[index], known[index + 1]
    half = (high.rate - low.rate) / 2
    curvature = max(abs(_second_difference(*triple)) for triple in triples)
    return curvature * half**2 / ((1 / low.latency + 1 / high.latency) / 2)


def _second_difference(one: KnownRate, two: KnownRate, three: KnownRate) -> float:
    """Second divided difference of the reciprocal of latency."""
    first = (1 / two.latency - 1 / one.latency) / (two.rate - one.rate)
    second = (1 / three.latency - 1 / two.latency) / (three.rate - two.rate)
    return (second - first) / (three.rate - one.rate)
