"""The highest rate at which the backlog does not grow, by bisection (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from scepsy.curves.batch_means import at_typical_length, batches
from scepsy.curves.rounds import Round, TypicalCalls
from scepsy.statistics.batch_means import BATCHES
from scepsy.traces.latency_trend import latency_growth

FIRST, APART, CLOSE = 0.9, 1.15, 1.1
"""The first rate tried, as a part of the closed loop's; the step while only one side is known; the
ratio of the two sides that is close enough.
"""

MATERIAL = 0.05
"""A backlog that takes less than this part of what comes in is none that bisection could tell."""

_LEAST_BATCHES = 6
"""Fewer lie on a rising line too often by chance."""


@dataclass(frozen=True, slots=True)
class Saturation:
    """Calls per second: the closed loop's first estimate, then what was found steady and what was
    not.
    """

    guess: float
    most: float
    steady: float | None = None
    growing: float | None = None

    @property
    def next(self) -> float | None:
        """The next rate to try; None where the two sides are close, or no more may be offered."""
        steady, growing = self.steady, self.growing
        if steady is not None and growing is not None:
            return math.sqrt(steady * growing) if growing > CLOSE * steady else None
        if steady is not None:
            # Nothing comes back faster than from an engine that is kept full.
            enough = min(self.most, self.guess)
            return None if steady >= enough else min(self.most, APART * steady)
        if growing is not None:
            return growing / APART**2
        # A closed loop that reached all that may be offered found no bound.
        return self.most if self.guess >= 0.95 * self.most else FIRST * self.guess

    @property
    def rate(self) -> float:
        """The best that is known now."""
        steady, growing = self.steady, self.growing
        if steady is not None and steady >= self.most:
            return self.most
        high = growing or max(self.guess, steady or 0.0)
        low = steady or min(self.guess, high / APART**2)
        return min(self.most, math.sqrt(low * high))


def saturation(
    guess: float, most: float, rounds: Sequence[Round], typical: TypicalCalls, warmup: float
) -> Saturation:
    """What rounds of bursts say. A rate at which most rounds grew is not steady, nor is any above
    it.
    """
    grew: dict[float, list[bool]] = {}
    for one in rounds:
        grew.setdefault(one.rate, []).append(grows(one, typical, warmup))
    growing = min((rate for rate, found in grew.items() if fmean(found) > 0.5), default=None)
    steady = [rate for rate in grew if growing is None or rate < growing]
    return Saturation(guess, most, max(steady, default=None), growing)


def grows(one: Round, typical: TypicalCalls, warmup: float) -> bool:
    """Whether the backlog does: latency that rises by g seconds per second means that calls leave
    at 1 / (1 + g) of the rate at which they come (`drive/statistics.py`).
    """
    samples = one.after(warmup)
    found = batches(samples, at_typical_length(samples, typical), BATCHES)
    if len(found) < _LEAST_BATCHES:
        return False
    return latency_growth(found) > MATERIAL


def closed_throughput(one: Round, warmup: float) -> float:
    """Calls per second that came back while the engine was kept full; 0 where none did."""
    begin = warmup * one.seconds
    ends = [sample.sent + sample.latency for sample in one.samples]
    return sum(begin <= end < one.seconds for end in ends) / (one.seconds - begin)
