"""When chains of bursts arrive in one round (pure)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, cycle, islice
from typing import Literal

from scepsy.curves.bursts import Chain, Stream

Gaps = Literal["poisson", "recorded"]

_DRAWS = 20
_CLOSE = 0.03


@dataclass(frozen=True, slots=True)
class ChainArrival:
    """A chain whose first burst is due `at` seconds after the round begins; its content is that of
    pass `number` over the traces.
    """

    at: float
    chain: Chain
    number: int

    def due(self, seconds: float) -> int:
        """Calls that would be sent within `seconds` if latencies were those of the trace."""
        first = self.chain[0].start
        return sum(len(b.calls) for b in self.chain if self.at + b.start - first < seconds)


def schedule(
    stream: Stream, rate: float, seconds: float, *, whole: bool, gaps: Gaps, rng: random.Random
) -> list[ChainArrival]:
    """Arrivals in [0, seconds): bursts that offer `rate` calls per second, or runs whose calls see
    the others offer that much (`Round.load_seen`), which takes one run more.

    Whole runs also arrive before the round begins, early enough that those still running at 0 are
    as many as ever; what they would have sent before 0 is left out. Of several draws the one that
    comes closest to `rate` is taken: a free count would stray by a tenth, and near the knee of the
    curve a tenth of load is half of the latency.
    """
    lead = max(_lengths(stream)) if whole else 0.0
    wanted = rate * seconds
    count = max(1, round(rate / stream.chain_calls(whole=whole) * (seconds + lead))) + whole
    recorded = stream.gaps(whole=whole) if gaps == "recorded" else ()
    best: list[ChainArrival] = []
    miss = float("inf")
    for _ in range(_DRAWS):
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
        if miss <= _CLOSE * wanted:
            break
    return sorted(best, key=lambda arrival: arrival.at)


def load_seen(calls: Sequence[int]) -> float:
    """Calls of the other arrivals, the mean over calls, where each arrival makes so many."""
    total = sum(calls)
    return sum(own * (total - own) for own in calls) / total if total else 0.0


def arrival_times(
    count: int, span: float, gaps: Sequence[float], rng: random.Random
) -> list[float]:
    """`count` rising times in [0, span): a Poisson process given its count, or the gaps of a trace
    from a random one on, over and over, scaled to fit.
    """
    if not any(gaps):
        return sorted(rng.uniform(0.0, span) for _ in range(count))
    begin = rng.randrange(len(gaps))
    taken = list(islice(cycle(gaps), begin, begin + count))
    whole = sum(taken)
    if whole == 0:  # a stretch of the trace in which all came at once
        return [rng.uniform(0.0, span)] * count
    lost = rng.random() * taken[0]
    return [span * max(0.0, time - lost) / whole for time in accumulate(taken)]


def _from(at: float, chain: Chain, number: int) -> ChainArrival | None:
    """What is left of a run that began at `at`, maybe before 0."""
    for index, burst in enumerate(chain):
        due = at + burst.start - chain[0].start
        if due >= 0:
            return ChainArrival(due, chain[index:], number)
    return None


def _lengths(stream: Stream) -> list[float]:
    return [run[-1].start - run[0].start for runs in stream.runs.values() for run in runs]
