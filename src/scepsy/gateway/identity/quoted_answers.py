"""Recognises answers that a later prompt quotes, to infer the run of calls that name none.

A prompt that repeats what an LLM has just written comes from the run that received that answer: a
conversation that continues, a draft to revise, parts to join. Words that an answer shares with its
own prompt are no evidence, because they may come from the template or the question, which other
runs have too. Nor are words that were written for two runs, or for an unknown run.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Generic, TypeVar

from scepsy.gateway.identity.lru import Recent

WINDOW = 8
"""Consecutive words that are compared as one unit."""

QUOTED_WINDOWS_MIN = 3
"""Number of windows that must be quoted: ten words in a row, or several shorter pieces."""

WINDOWS_MAX = 200_000  # remembered over all answers; the oldest are forgotten
_MOST_CHARS = 1 << 16
# A prompt is needed when its call begins and again when it ends: enough for the calls in between.
_PROMPTS_REMEMBERED = 256
_PROMPT_SECONDS = 600.0
_WINDOW_BYTES = 64  # of one window's hash in a set

R = TypeVar("R", bound=Hashable)


@dataclass(slots=True)
class Quotes(Generic[R]):
    """Remembers which run each window of an answer was written for. `size` returns the bytes of a
    run's names. It has no clock.
    """

    size: Callable[[R], int]
    _owners: Recent[int, tuple[R | None]] = field(init=False)
    _prompts: Recent[bytes, frozenset[int]] = field(init=False)

    def __post_init__(self) -> None:
        self._owners = Recent[int, tuple[R | None]](WINDOWS_MAX, self._owner_size)
        self._prompts = Recent[bytes, frozenset[int]](
            _PROMPTS_REMEMBERED,
            lambda key, windows: len(key) + _WINDOW_BYTES * len(windows),
            seconds=_PROMPT_SECONDS,
        )

    def forget(self, now: float) -> None:
        """Drops what is too old."""
        self._owners.forget(now)
        self._prompts.forget(now)

    def wrote(self, run: R | None, prompt: str, answer: str, now: float) -> None:
        """Records that an LLM answered `prompt` with `answer`. `run` is None if it is unknown."""
        new = _windows(answer) - self._windows_of(prompt, now)
        one, nobody = (run,), (None,)
        for window in new:
            known = self._owners.get(window, now)
            self._owners.put(window, one if known is None or known == one else nobody, now)

    def quoted_by(self, prompt: str, now: float) -> R | None:
        """The run whose answers the prompt quotes; None if it quotes no run, or several."""
        found: dict[R, int] = {}
        for window in self._windows_of(prompt, now):
            owner = self._owners.get(window, now)
            if owner is not None and owner[0] is not None:
                found[owner[0]] = found.get(owner[0], 0) + 1
        if len(found) != 1:
            return None
        [(run, times)] = found.items()
        return run if times >= QUOTED_WINDOWS_MIN else None

    def _windows_of(self, prompt: str, now: float) -> frozenset[int]:
        end = prompt[-_MOST_CHARS:]
        key = blake2b(end.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = self._prompts.get(key, now)
        if known is None:
            known = _windows(end)
            self._prompts.put(key, known, now)
        return known

    def _owner_size(self, _: int, owner: tuple[R | None]) -> int:
        return 0 if owner[0] is None else self.size(owner[0])


def _windows(text: str) -> frozenset[int]:
    """Hashes of every `WINDOW` consecutive words; of a very long text, of its last part only."""
    words = [hash(word) for word in text[-_MOST_CHARS:].split()]
    return frozenset(map(hash, zip(*(words[start:] for start in range(WINDOW)), strict=False)))
