"""Traced prompts -> the KV blocks that they share.

A trace hashes prompts in blocks of `BLOCK_CHARS` characters, an engine in blocks of `BLOCK_TOKENS`
tokens. An engine's block is the same as another's where the traced prefix that covers it is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scepsy.core.trace import BLOCK_CHARS, Call
from scepsy.hardware.memory import BLOCK_TOKENS


@dataclass(frozen=True, slots=True)
class Blocks:
    """A prompt's block hashes: `common` ones, which several recorded runs sent, come first; the
    `own` ones of a run are new each time that it is repeated, or the cache would look better than
    it is.
    """

    common: tuple[int, ...] = ()
    own: tuple[int, ...] = ()
    stride: int = 1

    @property
    def count(self) -> int:
        return len(self.common) + len(self.own)

    def of_run(self, run: int) -> tuple[int, ...]:
        """The hashes for the run of that number."""
        if not self.own:
            return self.common
        salt = (run + 1) * self.stride
        return (*self.common, *[block + salt for block in self.own])


def prompt_blocks(calls: Iterable[Call]) -> Mapping[str, Blocks]:
    """By call; of calls with known prompts of one item. Equal prefixes have equal blocks."""
    known = [call for call in calls if call.prompt_tokens and call.prompt_blocks]
    per_token = _chars_per_token(known)
    runs: defaultdict[str, set[str]] = defaultdict(set)
    for call in known:
        for block in call.prompt_blocks:
            runs[block].add(f"{call.workflow}/{call.run}")
    numbers: dict[tuple[str, int], int] = {}
    found: dict[str, tuple[list[int], list[int]]] = {}
    for call in known:
        common, own = found.setdefault(call.call, ([], []))
        size = BLOCK_TOKENS * per_token[call.llm] / BLOCK_CHARS
        for index in range((call.prompt_tokens or 0) // BLOCK_TOKENS if call.items == 1 else 0):
            traced = math.ceil((index + 1) * size - 1e-9) - 1
            if traced >= len(call.prompt_blocks):
                break
            name = call.prompt_blocks[traced]
            number = numbers.setdefault((name, index), len(numbers))
            (common if len(runs[name]) > 1 else own).append(number)
    return {
        call: Blocks(tuple(common), tuple(own), len(numbers) or 1)
        for call, (common, own) in found.items()
    }


def _chars_per_token(calls: Iterable[Call]) -> dict[str, float]:
    chars: defaultdict[str, int] = defaultdict(int)
    tokens: defaultdict[str, int] = defaultdict(int)
    for call in calls:
        chars[call.llm] += call.prompt_chars
        tokens[call.llm] += call.prompt_tokens or 0
    return {llm: chars[llm] / tokens[llm] for llm in tokens}
