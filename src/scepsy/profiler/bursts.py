"""Traced runs -> bursts of calls, the unit that a replay sends.

A run's calls of one LLM come in bursts: a fan-out sends several at once, then the run waits for all
of them. Replaying call by call would lose that, and with it the queueing that a fan-out causes;
replaying whole runs would bind the replay to the latencies of the trace. So a burst (calls of one
run that overlap) is sent as it was recorded, and the bursts arrive open-loop.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scepsy.core.trace import Call, Trace


@dataclass(frozen=True, slots=True)
class Burst:
    """Calls of one run that overlapped, with their offsets in seconds from the first."""

    run: str
    calls: tuple[Call, ...]
    offsets: tuple[float, ...]


def bursts_of(traces: Sequence[Trace], llm: str) -> tuple[tuple[Burst, ...], ...]:
    """The bursts of each run that calls `llm`, in order of time."""
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
        Burst(trace.run, tuple(group), tuple(call.start - group[0].start for call in group))
        for group in groups
    )


def _by_start(call: Call) -> float:
    return call.start


def endless(runs: Sequence[Sequence[Burst]], rng: random.Random) -> Iterator[tuple[Burst, int]]:
    """Bursts without end, with the number of the pass over the runs.

    Each run keeps its own order, several runs interleave as concurrent runs do, so the prefix cache
    sees what it would see live.
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


def template_blocks(runs: Sequence[Sequence[Burst]]) -> frozenset[str]:
    """Prompt blocks that more than one run sent: instructions, which stay equal from run to run.

    All others are new with each run, and a replay must not send them twice alike, or the prefix
    cache would flatter it.
    """
    seen: Counter[str] = Counter()
    for run in runs:
        seen.update(
            {block for burst in run for call in burst.calls for block in call.prompt_blocks}
        )
    return frozenset(block for block, count in seen.items() if count > 1)
