"""The bursts of calls in traced runs, which a replay sends (pure).

A run's calls to one LLM come in bursts: a fan-out sends several calls at once, and then the run
waits for all of them. A replay of single calls would lose the queueing that a fan-out causes, so a
burst (calls of one run that overlap in time) is sent as it was recorded. Chains arrive open-loop: a
chain is a whole run, whose bursts wait for one another, or a single burst.
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
    """The calls that several workflows send to one LLM. Their runs arrive in proportion to `rates`.

    Attributes:
        runs: the traced runs of each workflow; each run has at least one burst.
        rates: runs per second of each workflow, relative to the others.
    """

    runs: Mapping[str, Runs]
    rates: Mapping[str, float]

    @property
    def calls(self) -> dict[str, float]:
        """The fraction of all calls that each workflow makes. The fractions add up to 1."""
        per_run = {name: _mean_calls(runs) for name, runs in self.runs.items()}
        weight = {name: self.rates[name] * per_run[name] for name in self.runs}
        return {name: weight[name] / sum(weight.values()) for name in weight}

    @property
    def burst_size(self) -> float:
        """Mean calls per burst."""
        calls = sum(self.rates[name] * _mean_calls(runs) for name, runs in self.runs.items())
        return calls / sum(self._burst_rates().values())

    def bursts(self, rng: random.Random) -> Iterator[tuple[Burst, int]]:
        """Bursts without end, each with the number of the pass over its workflow's runs.

        The next burst is of the workflow that is furthest behind its proportion. It is not drawn at
        random, so that a short replay has the exact mixture of workflows.
        """
        sources = {name: endless(self.runs[name], rng) for name in sorted(self.runs)}
        yield from in_proportion(sources, self._burst_rates(), rng)

    def chains(self, rng: random.Random, *, whole: bool) -> Iterator[tuple[Chain, int]]:
        """Chains without end, each with the number of the pass over its workflow's runs: whole
        runs, or single bursts as chains of one. Workflows come in proportion to `rates`.
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
        """Seconds between the starts of consecutive recorded chains, all workflows together."""
        chains = (run for runs in self.runs.values() for run in runs)
        starts = sorted(
            start for run in chains for start in ([b.start for b in run][: 1 if whole else None])
        )
        return tuple(later - earlier for earlier, later in pairwise(starts))

    def templates(self) -> frozenset[str]:
        """Prompt blocks that more than one run sent: instructions, which are equal in every run.

        All other blocks are new in each run. A replay must not send one of them twice, because the
        prefix cache would then answer faster than it does for real runs.
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
    """Bursts of one workflow without end, each with the number of the pass over the runs.

    Each run keeps its own order, and the runs interleave as concurrent runs do, so that the prefix
    cache is used as in a live deployment.
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
    """Items of several endless sources, merged in proportion to `rates`."""
    sent = {name: rng.random() for name in sources}
    while True:
        name = min(sent, key=lambda name: sent[name] / rates[name])
        sent[name] += 1
        yield next(sources[name])


def _mean_calls(runs: Runs) -> float:
    return sum(len(burst.calls) for run in runs for burst in run) / len(runs)
