"""Recognises answers that a later prompt quotes, to infer the run of calls that name none.

A prompt that repeats what an LLM has just written comes from the run that received that answer: a
conversation that continues, a draft to revise, parts to join. Words that an answer shares with its
own prompt are no evidence, because they may come from the template or the question, which other
runs have too. Nor are words that were written for two runs, or for an unknown run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

WINDOW = 8
"""Consecutive words that are compared as one unit."""

QUOTED_WINDOWS_MIN = 3
"""Number of windows that must be quoted: ten words in a row, or several shorter pieces."""

WINDOWS_MAX = 200_000  # remembered over all answers; the oldest are forgotten
_MOST_CHARS = 1 << 16
# A prompt is needed when its call begins and again when it ends: enough for the calls in between.
_PROMPTS_REMEMBERED = 256

R = TypeVar("R", bound=Hashable)


@dataclass(slots=True)
class Quotes(Generic[R]):
    """Remembers which run each window of an answer was written for."""

    _owners: OrderedDict[int, R | None] = field(default_factory=OrderedDict[int, "R | None"])

    def wrote(self, run: R | None, prompt: str, answer: str) -> None:
        """Records that an LLM answered `prompt` with `answer`. `run` is None if it is unknown."""
        owners = self._owners
        new = _windows(answer) - _windows(prompt)
        for window in new:
            owners[window] = run if owners.get(window, run) == run else None
            owners.move_to_end(window)
        while len(owners) > WINDOWS_MAX:
            owners.popitem(last=False)

    def quoted_by(self, prompt: str) -> R | None:
        """The run whose answers the prompt quotes; None if it quotes no run, or several."""
        found: dict[R, int] = {}
        for window in _windows(prompt):
            owner = self._owners.get(window)
            if owner is not None:
                found[owner] = found.get(owner, 0) + 1
        if len(found) != 1:
            return None
        [(run, times)] = found.items()
        return run if times >= QUOTED_WINDOWS_MIN else None


@lru_cache(maxsize=_PROMPTS_REMEMBERED)
def _windows(text: str) -> frozenset[int]:
    """Hashes of every `WINDOW` consecutive words; of a very long text, of its last part only."""
    words = [hash(word) for word in text[-_MOST_CHARS:].split()]
    return frozenset(map(hash, zip(*(words[start:] for start in range(WINDOW)), strict=False)))
