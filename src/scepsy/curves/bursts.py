"""Traced runs -> bursts of calls, the unit that a replay sends.

A run's calls of one LLM come in bursts: a fan-out sends several at once, then the run waits for all
of them. Replaying call by call would lose that, and with it the queueing that a fan-out causes. So
a burst (calls of one run that overlap) is sent as it was recorded. What arrives open-loop are
chains: whole runs, whose bursts wait for one another, or single bursts.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from scepsy.core.trace import Call, Trace

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Burst:
    """Calls of one run that overlapped, with their offsets in seconds from the first."""

    workflow: str
    run: str
    calls: tuple[Call, ...]
    offsets: tuple[float, ...]

    @property
    def start(self) -> float:
        return self.calls[0].start

    @property
    def end(self) -> float:
        return max(call.end for call in self.calls)


Chain = tuple[Burst, ...]
"""Bursts of one run, each of which waits for the one before it."""

Runs = tuple[Chain, ...]
"""The bursts of each run, in order of time."""


def bursts_of(traces: Sequence[Trace], llm: str) -> Runs:
    """The bursts of each successful run that calls `llm`."""
    per_run = (_split(trace, llm) for trace in traces if trace.ok)
    return tuple(bursts for bursts in per_run if bursts)


def _split(trace: Trace, llm: str) -> tuple[Burst, ...]:
    calls = sorted((call for call in trace.calls if call.llm == llm and call.ok), key=_by_start)
    groups: list[list[Call]] = []
    reach = float("-inf")
    for call in calls:
        if call.start >= reach or not groups:
            groups.append([])
        groups[-1].append(call)
        reach = max(reach, call.end)
    return tuple(
        Burst(
            workflow=trace.workflow,
            run=trace.run,
            calls=tuple(group),
            offsets=tuple(call.start - group[0].start for call in group),
        )
        for group in groups
    )


def _by_start(call: Call) -> float:
    return call.start


@dataclass(frozen=True, slots=True)
class Stream:
    """What is sent to one LLM by several workflows, whose runs arrive in the proportion of `rates`.

    Attributes:
        runs: by workflow; each has at least one burst.
        rates: runs per second, relative to one another.
    """

    runs: Mapping[str, Runs]
    rates: Mapping[str, float]

    @property
    def calls(self) -> dict[str, float]:
        """Part of the calls that each workflow makes."""
        per_run = {name: _mean_calls(runs) for name, runs in self.runs.items()}
        weight = {name: self.rates[name] * per_run[name] for name in self.runs}
        return {name: weight[name] / sum(weight.values()) for name in weight}

    @property
    def burst_size(self) -> float:
        """Mean calls per burst."""
        calls = sum(self.rates[name] * _mean_calls(runs) for name, runs in self.runs.items())
        return calls / sum(self._burst_rates().values())

    def bursts(self, rng: random.Random) -> Iterator[tuple[Burst, int]]:
        """Without end: bursts, with the number of the pass over their workflow's runs.

        Which workflow comes next is not drawn but kept in proportion (the one that is furthest
        behind), so that a short replay has the mixture and not a sample of it.
        """
        sources = {name: endless(self.runs[name], rng) for name in sorted(self.runs)}
        yield from in_proportion(sources, self._burst_rates(), rng)

    def chains(self, rng: random.Random, *, whole: bool) -> Iterator[tuple[Chain, int]]:
        """Without end: whole runs, or single bursts as chains of one, with the number of the pass
        over their workflow's runs; workflows in proportion.
        """
        if whole:
            sources = {name: _shuffled(self.runs[name], rng) for name in sorted(self.runs)}
            yield from in_proportion(sources, self.rates, rng)
        else:
            yield from (((burst,), number) for burst, number in self.bursts(rng))

    def chain_calls(self, *, whole: bool) -> float:
        """Mean calls per chain."""
        if not whole:
            return self.burst_size
        calls = sum(self.rates[name] * _mean_calls(runs) for name, runs in self.runs.items())
        return calls / sum(self.rates[name] for name in self.runs)

    def gaps(self, *, whole: bool) -> tuple[float, ...]:
        """Seconds between one recorded chain and the next, workflows together, in their order."""
        chains = (run for runs in self.runs.values() for run in runs)
        starts = sorted(
            start for run in chains for start in ([b.start for b in run][: 1 if whole else None])
        )
        return tuple(later - earlier for earlier, later in pairwise(starts))

    def templates(self) -> frozenset[str]:
        """Prompt blocks that more than one run sent: instructions, equal from run to run.

        All others are new with each run, and a replay must not send them twice alike, or the prefix
        cache would flatter it.
        """
        seen: Counter[str] = Counter()
        for run in (run for runs in self.runs.values() for run in runs):
            blocks = {b for burst in run for call in burst.calls for b in call.prompt_blocks}
            seen.update(blocks)
        return frozenset(block for block, count in seen.items() if count > 1)

    def _burst_rates(self) -> dict[str, float]:
        return {
            name: self.rates[name] * sum(map(len, runs)) / len(runs)
            for name, runs in self.runs.items()
        }


def endless(runs: Runs, rng: random.Random) -> Iterator[tuple[Burst, int]]:
    """Bursts of one workflow without end, with the number of the pass over the runs.

    Each run keeps its own order, and runs interleave as concurrent runs do, so that the prefix
    cache sees what it would see live.
    """
    number = 0
    while True:
        starts = [rng.uniform(0, len(runs)) for _ in runs]
        keyed = [
            (start + step, index, step)
            for index, (start, run) in enumerate(zip(starts, runs, strict=True))
            for step in range(len(run))
        ]
        for _, index, step in sorted(keyed):
            yield runs[index][step], number
        number += 1


def _shuffled(runs: Runs, rng: random.Random) -> Iterator[tuple[Chain, int]]:
    number = 0
    while True:
        yield from ((run, number) for run in rng.sample(runs, len(runs)))
        number += 1


def in_proportion(
    sources: Mapping[str, Iterator[_T]], rates: Mapping[str, float], rng: random.Random
) -> Iterator[_T]:
    """Of several sources without end, in proportion to `rates`."""
    sent = {name: rng.random() for name in sources}
    while True:
        name = min(sent, key=lambda name: sent[name] / rates[name])
        sent[name] += 1
        yield next(sources[name])


def _mean_calls(runs: Runs) -> float:
    return sum(len(burst.calls) for run in runs for burst in run) / len(runs)
