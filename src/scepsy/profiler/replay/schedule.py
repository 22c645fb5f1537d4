"""The arrival times of chains of bursts in one round (pure)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, cycle, islice
from typing import Literal

from scepsy.curves.bursts import Chain, Stream

Gaps = Literal["poisson", "recorded"]
"""The times between arrivals: of a Poisson process, or those in the trace, scaled to the rate."""

_DRAWS_MAX = 20
"""Schedules that are drawn at most to come close to the wanted rate."""

_RATE_TOLERANCE = 0.03
"""Part of the wanted rate by which a schedule may miss it. Near saturation, an error of 10% in the
rate can be an error of 50% in latency.
"""


@dataclass(frozen=True, slots=True)
class ChainArrival:
    """A chain whose first burst is due `at` seconds after the round begins. Its prompts are those
    of pass `number` over the traces.
    """

    at: float
    chain: Chain
    number: int

    def due(self, seconds: float) -> int:
        """Calls that would be sent within `seconds` if latencies were as in the trace."""
        first = self.chain[0].start
        return sum(len(b.calls) for b in self.chain if self.at + b.start - first < seconds)


def schedule(
    stream: Stream, rate: float, seconds: float, *, whole: bool, gaps: Gaps, rng: random.Random
) -> list[ChainArrival]:
    """The arrivals of one round, which lasts from 0 to `seconds`.

    Bursts (`whole` is false) offer `rate` calls per second. Runs arrive so that the calls of one
    run see the other runs offer `rate` (`Round.load_seen`), which takes one run more.

    Whole runs also arrive before the round begins, so that from its start as many runs are active
    as later on. The calls that they would have sent before 0 are left out. Several schedules are
    drawn, and the one that comes closest to `rate` is taken: the number of calls of a single draw
    varies by about 10%.
    """
    lead = max(_lengths(stream)) if whole else 0.0
    wanted = rate * seconds
    count = max(1, round(rate / stream.chain_calls(whole=whole) * (seconds + lead))) + whole
    recorded = stream.gaps(whole=whole) if gaps == "recorded" else ()
    best: list[ChainArrival] = []
    miss = float("inf")
    for _ in range(_DRAWS_MAX):
        times = arrival_times(count, seconds + lead, recorded, rng)
        chains = islice(stream.chains(rng, whole=whole), count)
        drawn = [
            arrival
            for time, (chain, number) in zip(times, chains, strict=True)
            if (arrival := _from(time - lead, chain, number)) is not None
        ]
        due = [arrival.due(seconds) for arrival in drawn]
        off = abs((load_seen(due) if whole else sum(due)) - wanted)
        if off < miss:
            best, miss = drawn, off
        if miss <= _RATE_TOLERANCE * wanted:
            break
    return sorted(best, key=lambda arrival: arrival.at)


def load_seen(calls: Sequence[int]) -> float:
    """Calls of the other arrivals that a call sees, on average. `calls` has the number of calls of
    each arrival.
    """
    total = sum(calls)
    return sum(own * (total - own) for own in calls) / total if total else 0.0


def arrival_times(
    count: int, span: float, gaps: Sequence[float], rng: random.Random
) -> list[float]:
    """`count` rising times in [0, span), in seconds: a Poisson process given its count, or the
    recorded gaps from a random one on, repeated as often as needed and scaled to fit.
    """
    if not any(gaps):
        return sorted(rng.uniform(0.0, span) for _ in range(count))
    begin = rng.randrange(len(gaps))
    taken = list(islice(cycle(gaps), begin, begin + count))
    whole = sum(taken)
    if whole == 0:  # all arrivals in this part of the trace came at the same time
        return [rng.uniform(0.0, span)] * count
    lost = rng.random() * taken[0]
    return [span * max(0.0, time - lost) / whole for time in accumulate(taken)]


def _from(at: float, chain: Chain, number: int) -> ChainArrival | None:
    """The bursts at or after 0 of a run that began at `at`, perhaps before 0; None if there are
    none.
    """
    for index, burst in enumerate(chain):
        due = at + burst.start - chain[0].start
        if due >= 0:
            return ChainArrival(due, chain[index:], number)
    return None


def _lengths(stream: Stream) -> list[float]:
    return [run[-1].start - run[0].start for runs in stream.runs.values() for run in runs]
