"""Finds the highest rate at which the backlog does not grow, by bisection (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from scepsy.curves.batch_means import at_typical_length, batches
from scepsy.curves.rounds import Round, TypicalCalls
from scepsy.statistics.batch_means import BATCHES
from scepsy.traces.latency_trend import latency_growth

FIRST_TRY = 0.9
"""The first rate to try, as a part of the throughput of the engine kept full."""

STEP = 1.15
"""Factor from one tried rate to the next, until one is sustained and one is not."""

CLOSE_ENOUGH = 1.1
"""Ratio of the lowest rate that is not sustained to the highest that is, at which the search ends.
"""

OFFERED_ALL = 0.95
"""Part of the highest rate that may be offered. An engine kept full that reached it was held back
by that limit, so its throughput says nothing about saturation.
"""

GROWTH_MIN = 0.05
"""Latency growth in seconds per second. Bisection cannot tell slower growth from none."""

_BATCHES_MIN = 6
"""Batches of calls. The means of fewer rise along a line too often by chance."""


@dataclass(frozen=True, slots=True)
class Saturation:
    """Where an engine saturates, as far as it is known. All rates are in calls per second.

    Attributes:
        guess: throughput of the engine kept full.
        most: the highest rate that may be offered.
        steady: the highest rate at which the backlog did not grow; None before one was found.
        growing: the lowest rate at which it grew; None before one was found.
    """

    guess: float
    most: float
    steady: float | None = None
    growing: float | None = None

    @property
    def next(self) -> float | None:
        """The next rate to try; None where `steady` and `growing` are close enough, or no higher
        rate may be offered.
        """
        steady, growing = self.steady, self.growing
        if steady is not None and growing is not None:
            return math.sqrt(steady * growing) if growing > CLOSE_ENOUGH * steady else None
        if steady is not None:
            # No rate is sustained above the throughput of an engine that is kept full.
            enough = min(self.most, self.guess)
            return None if steady >= enough else min(self.most, STEP * steady)
        if growing is not None:
            return growing / STEP**2
        return self.most if self.guess >= OFFERED_ALL * self.most else FIRST_TRY * self.guess

    @property
    def rate(self) -> float:
        """The best estimate of the rate at which the engine saturates."""
        steady, growing = self.steady, self.growing
        if steady is not None and steady >= self.most:
            return self.most
        high = growing or max(self.guess, steady or 0.0)
        low = steady or min(self.guess, high / STEP**2)
        return min(self.most, math.sqrt(low * high))


def saturation(
    guess: float, most: float, rounds: Sequence[Round], typical: TypicalCalls, warmup: float
) -> Saturation:
    """What rounds of bursts show. A rate at which the backlog grew in most rounds is not sustained,
    nor is any rate above it.
    """
    grew: dict[float, list[bool]] = {}
    for one in rounds:
        grew.setdefault(one.rate, []).append(grows(one, typical, warmup))
    growing = min((rate for rate, found in grew.items() if fmean(found) > 0.5), default=None)
    steady = [rate for rate in grew if growing is None or rate < growing]
    return Saturation(guess, most, max(steady, default=None), growing)


def grows(one: Round, typical: TypicalCalls, warmup: float) -> bool:
    """Whether the backlog grows in this round. Latency that rises by g seconds per second means
    that calls leave at 1 / (1 + g) of the rate at which they arrive.
    """
    samples = one.after(warmup)
    found = batches(samples, at_typical_length(samples, typical), BATCHES)
    if len(found) < _BATCHES_MIN:
        return False
    return latency_growth(found) > GROWTH_MIN


def closed_throughput(one: Round, warmup: float) -> float:
    """Calls per second that were answered while the engine was kept full."""
    begin = warmup * one.seconds
    ends = [sample.sent + sample.latency for sample in one.samples]
    return sum(begin <= end < one.seconds for end in ends) / (one.seconds - begin)
