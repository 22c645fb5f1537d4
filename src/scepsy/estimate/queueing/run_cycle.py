"""The traced runs arranged in a cycle, any stretch of which resembles the whole (pure)."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate, cycle, islice, pairwise
from typing import NamedTuple

from scepsy.curves.bursts import Chain, Runs, Stream, in_proportion

GOLDEN = (5**0.5 - 1) / 2
"""Golden ratio minus 1. Its multiples modulo 1 are evenly spread, for any number of them."""

SECONDS_MIN = 1e-6
"""Duration of a run whose trace has no durations: every run needs a place in the cycle."""


class CycledRun(NamedTuple):
    """One run of the cycle.

    Attributes:
        chain: its bursts.
        gaps: seconds between the end of the burst before and the sending of each burst.
        seconds: duration of the run if its calls take as long as traced.
    """

    chain: Chain
    gaps: tuple[float, ...]
    seconds: float


class CycleEntry(NamedTuple):
    """Where a client enters the cycle: the index of the run, the index of the burst in it, and the
    seconds until that burst is sent.
    """

    run: int
    burst: int
    wait: float


@dataclass(frozen=True, slots=True)
class RunCycle:
    """Runs one after another, with the seconds from the start of the cycle to the end of each."""

    runs: tuple[CycledRun, ...]
    ends: tuple[float, ...]

    def entry(self, part: float) -> CycleEntry:
        """The first burst that is sent after the fraction `part`, in [0, 1), of the cycle's
        time.
        """
        time = part * self.ends[-1]
        place = min(bisect_right(self.ends, time), len(self.runs) - 1)
        run = self.runs[place]
        passed = max(0.0, time - (self.ends[place] - run.seconds))
        lengths = [burst.end - burst.start for burst in run.chain]
        burst_ends = accumulate(gap + length for gap, length in zip(run.gaps, lengths, strict=True))
        sent = [end - length for end, length in zip(burst_ends, lengths, strict=True)]
        burst = bisect_left(sent, passed)
        if burst < len(sent):
            return CycleEntry(place, burst, sent[burst] - passed)
        return CycleEntry((place + 1) % len(self.runs), 0, max(0.0, run.seconds - passed))


def run_cycle(stream: Stream, gap_max: float = math.inf) -> RunCycle:
    """Every run at least once. Workflows come in proportion to their rates, short and long runs
    alternate, and no gap between two bursts is longer than `gap_max` seconds.
    """
    rounds = max(len(runs) / stream.rates[name] for name, runs in stream.runs.items())
    sources = {name: cycle(_alternating(runs)) for name, runs in sorted(stream.runs.items())}
    chains = in_proportion(sources, stream.rates, random.Random(0))
    count = math.ceil(rounds * sum(stream.rates[name] for name in sources))
    runs = tuple(_cycled(chain, gap_max) for chain in islice(chains, count))
    return RunCycle(runs, tuple(accumulate(run.seconds for run in runs)))


def _cycled(chain: Chain, gap_max: float) -> CycledRun:
    gaps = (0.0, *(min(gap_max, max(0.0, b.start - a.end)) for a, b in pairwise(chain)))
    seconds = sum(gaps) + sum(burst.end - burst.start for burst in chain)
    return CycledRun(chain, gaps, max(SECONDS_MIN, seconds))


def _alternating(runs: Runs) -> Runs:
    """Ordered so that any few consecutive runs have about as many calls per run as all of them."""
    ranked = sorted(runs, key=lambda run: sum(len(burst.calls) for burst in run))
    places = sorted(range(len(runs)), key=lambda place: place * GOLDEN % 1.0)
    found = sorted(zip(places, range(len(runs)), strict=True))
    return tuple(ranked[rank] for _, rank in found)
