"""Traced runs in a circle, any stretch of which looks like the whole (pure)."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate, cycle, islice, pairwise
from typing import NamedTuple

from scepsy.curves.bursts import Chain, Runs, Stream, in_proportion

GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, modulo 1, are spread evenly however many are taken."""
LEAST = 1e-6
"""Seconds of a run whose trace tells no durations."""


class Lap(NamedTuple):
    """A run, the seconds that pass before each of its bursts when the one before has ended, and
    what it takes altogether, if its calls take as long as traced.
    """

    chain: Chain
    gaps: tuple[float, ...]
    seconds: float


class Start(NamedTuple):
    """The run and the burst at which the circle is entered, and the seconds until that is due."""

    lap: int
    burst: int
    wait: float


@dataclass(frozen=True, slots=True)
class Circle:
    """Runs one after another, with the seconds after which each has ended."""

    laps: tuple[Lap, ...]
    ends: tuple[float, ...]

    def start(self, part: float) -> Start:
        """What is next at that part of the circle, in [0, 1)."""
        time = part * self.ends[-1]
        place = min(bisect_right(self.ends, time), len(self.laps) - 1)
        lap = self.laps[place]
        passed = max(0.0, time - (self.ends[place] - lap.seconds))
        lengths = [burst.end - burst.start for burst in lap.chain]
        dues = [*accumulate(gap + length for gap, length in zip(lap.gaps, lengths, strict=True))]
        dues = [end - length for end, length in zip(dues, lengths, strict=True)]
        burst = bisect_left(dues, passed)
        if burst < len(dues):
            return Start(place, burst, dues[burst] - passed)
        return Start((place + 1) % len(self.laps), 0, max(0.0, lap.seconds - passed))


def circle_of(stream: Stream, gap: float = math.inf) -> Circle:
    """Every run at least once, workflows in proportion, short and long runs in turns, and no gap
    between two bursts longer than `gap` seconds.
    """
    most = max(len(runs) / stream.rates[name] for name, runs in stream.runs.items())
    sources = {name: cycle(_mixed(runs)) for name, runs in sorted(stream.runs.items())}
    each = in_proportion(sources, stream.rates, random.Random(0))
    count = math.ceil(most * sum(stream.rates[name] for name in sources))
    laps = tuple(_lap(chain, gap) for chain in islice(each, count))
    return Circle(laps, tuple(accumulate(lap.seconds for lap in laps)))


def _lap(chain: Chain, most: float) -> Lap:
    gaps = (0.0, *(min(most, max(0.0, b.start - a.end)) for a, b in pairwise(chain)))
    seconds = sum(gaps) + sum(burst.end - burst.start for burst in chain)
    return Lap(chain, gaps, max(LEAST, seconds))


def _mixed(runs: Runs) -> Runs:
    """In an order in which any few that follow one another have about as many calls as all."""
    ranked = sorted(runs, key=lambda run: sum(len(burst.calls) for burst in run))
    places = sorted(range(len(runs)), key=lambda place: place * GOLDEN % 1.0)
    found = sorted(zip(places, range(len(runs)), strict=True))
    return tuple(ranked[rank] for _, rank in found)
