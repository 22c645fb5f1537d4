"""The fourth workflow: turns of coding agents as they were recorded, with sub-agents.

A run is a turn of a main agent, from what a person asked to its end: recorded lengths, growth of
the prompt and tool gaps (`experiments/data/README.md`). The turns with sub-agents have contexts
beyond `slice_sessions.LONGEST`, so these are put together: in the sessions that have any, there are
42 in 123 turns; here one turn in six starts two recorded ones in its first tool gap, and waits.

What is assumed: `SAME` tokens of instructions and tools open every agent's prompts; the history
that follows them was evicted while the person thought, so a turn's first call computes it anew. A
gap of more than `TOOL` seconds has a person in it (permissions), and counts as that much.
"""

from __future__ import annotations

import csv
import gzip
import random
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from scepsy.sim.cluster.simulation import Ask
from scepsy.sim.workload.program import Steps

SLICE = Path(__file__).parent.parent / "data" / "coding_sessions.csv.gz"
MAIN, SUB = "coder", "explorer"
SAME = {MAIN: 12_288, SUB: 8_192}
TOOL = 5.0
WITH_SUBS, SUBS = 1 / 6, 2
BLOCK = 16


class Step(NamedTuple):
    """A recorded call: seconds since the last one ended, prompt, the part of it that the last
    call's prompt was too, answer.
    """

    gap: float
    prompt: int
    kept: int
    output: int


@cache
def recorded() -> tuple[tuple[tuple[Step, ...], ...], tuple[tuple[Step, ...], ...]]:
    """Turns of main agents, and those of sub-agents.

    Traced and measured runs are independent draws of the same turns. Halves of the sessions would
    be too small to stand for each other: their 113 and 134 turns differ by 12% in the mean length
    of what is generated, with a standard error of 15%.
    """
    agents: defaultdict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    with gzip.open(SLICE, "rt") as source:
        for row in csv.DictReader(source):
            agents[row["trace_id"], row["agent"]].append(row)
    turns: list[tuple[Step, ...]] = []
    subs: list[tuple[Step, ...]] = []
    for (_, agent), rows in agents.items():
        if agent != "main":
            subs.append(_steps(rows))
        else:
            ends = [place for place, row in enumerate(rows, 1) if row["stop"] == "end_turn"]
            turns += [_steps(rows[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
    return tuple(turns), tuple(subs)


def _steps(rows: Sequence[dict[str, str]]) -> tuple[Step, ...]:
    return tuple(
        Step(
            min(TOOL, float(row["think_time_s"])) if place else 0.0,
            int(row["input_tokens"]),
            int(row["cached_prefix_tokens"]) if place else 0,
            int(row["output_tokens"]),
        )
        for place, row in enumerate(rows)
    )


def turn(rng: random.Random) -> Steps:
    """A recorded turn, whichever it is."""
    turns, subs = recorded()
    steps = rng.choice(turns)
    helped = len(steps) > 1 and rng.random() < WITH_SUBS
    helpers = rng.sample(subs, SUBS) if helped else []
    yield from _agent(MAIN, steps, helpers, rng)


def _agent(
    llm: str, steps: Sequence[Step], helpers: Sequence[Sequence[Step]], rng: random.Random
) -> Steps:
    same = tuple(range(1, SAME[llm] // BLOCK + 1))
    prompt: tuple[int, ...] = ()
    for place, step in enumerate(steps):
        if place == 1 and helpers:
            yield [_agent(SUB, one, (), rng) for one in helpers]
        elif step.gap:
            yield step.gap
        blocks = step.prompt // BLOCK
        stays = prompt[: step.kept // BLOCK] if place else same[:blocks]
        fresh = rng.randrange(1 << 60)
        prompt = (*stays, *range(fresh, fresh + blocks - len(stays)))
        yield Ask(llm, step.prompt, step.output, prompt, place - len(steps))
