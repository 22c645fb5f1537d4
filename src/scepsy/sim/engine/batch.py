"""Input and output of a continuous-batching engine.

Values that are made at every step are named tuples, because making a frozen dataclass takes three
times as long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


class EngineSequence(NamedTuple):
    """One prompt and the length of its answer. A sequence without output tokens (embedding,
    reranking) ends after its prefill.

    `blocks` are the chained hashes of the prompt's leading full blocks: equal hashes share their
    KV. Sequences of lower `priority` go first.
    """

    id: int
    prompt_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()
    priority: int = 0


class EngineStep(NamedTuple):
    """What the engine does next: one step, or up to `most` decode steps in a row, each `growth`
    seconds longer than the one before. `memory_bound` is the fraction of the first step's time in
    which it reads memory.
    """

    first: float
    growth: float = 0.0
    most: int = 1
    memory_bound: float = 0.0

    def duration(self, steps: int) -> float:
        """Seconds that the first `steps` steps take."""
        return steps * self.first + self.growth * steps * (steps - 1) / 2

    def steps_by(self, seconds: float) -> int:
        """The fewest steps, at least one and at most `most`, that take `seconds` or longer."""
        half = self.growth / 2
        slope = self.first - half
        root = 2 * seconds / (slope + math.sqrt(slope * slope + 4 * half * seconds))
        return max(1, min(self.most, math.ceil(root - 1e-9)))


class FinishedSequence(NamedTuple):
    """A sequence that has ended. `cached_tokens` prompt tokens were in the cache when it was first
    admitted.
    """

    id: int
    cached_tokens: int


class StepResult(NamedTuple):
    """The outcome of a step, in batch order: sequences whose prompt was computed for the first
    time, so that their first token is out, and sequences that have finished.
    """

    duration: float
    started: list[int]
    finished: list[FinishedSequence]


@dataclass(slots=True)
class Counters:
    """Totals since the start. `prefix_queries` and `prefix_hits` count prompt tokens looked up and
    found in the cache.
    """

    steps: int = 0
    busy_seconds: float = 0.0
    prompt_tokens: int = 0
    generation_tokens: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    preemptions: int = 0
