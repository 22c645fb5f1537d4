"""What goes into a continuous-batching engine and what comes out of it.

Values that are made at every step are named tuples: a frozen dataclass takes three times as long to
make.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


class EngineSequence(NamedTuple):
    """One prompt and the length of its answer. Without output tokens (embedding, reranking) the
    prefill is all there is.

    `blocks` are the chained hashes of the prompt's leading full blocks: equal hashes share their
    KV. The lower `priority` goes first.
    """

    id: int
    prompt_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()
    priority: int = 0


class EngineStep(NamedTuple):
    """What the engine does next: one step, or up to `most` equal decode steps in a row, each
    `growth` longer than the last. `memory_bound` is the part of the first one's time in which it
    reads memory.
    """

    first: float
    growth: float = 0.0
    most: int = 1
    memory_bound: float = 0.0

    def duration(self, steps: int) -> float:
        """Seconds that the first `steps` of them take."""
        return steps * self.first + self.growth * steps * (steps - 1) / 2

    def steps_by(self, seconds: float) -> int:
        """The fewest steps, at least one and at most `most`, that take `seconds` or longer."""
        half = self.growth / 2
        slope = self.first - half
        root = 2 * seconds / (slope + math.sqrt(slope * slope + 4 * half * seconds))
        return max(1, min(self.most, math.ceil(root - 1e-9)))


class FinishedSequence(NamedTuple):
    """A sequence that is done. `cached_tokens` of its prompt were in the cache when it was first
    admitted.
    """

    id: int
    cached_tokens: int


class StepResult(NamedTuple):
    """What a step yielded: whose prompt is computed for the first time (so that the first token is
    out), and who finished, both in batch order.
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
