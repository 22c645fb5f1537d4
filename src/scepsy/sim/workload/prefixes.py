"""From traced prompts to the KV blocks that they share.

A trace hashes prompts in blocks of `BLOCK_CHARS` characters, an engine in blocks of `BLOCK_TOKENS`
tokens. Two blocks of the engine are equal if the traced prefixes that cover them are equal.
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
    """A prompt's block hashes. The first ones are `common`: several recorded runs sent them. The
    others are the run's `own`; they are new each time that the run is repeated, or the prefix cache
    would be hit more often than in reality.
    """

    common: tuple[int, ...] = ()
    own: tuple[int, ...] = ()
    stride: int = 1

    @property
    def count(self) -> int:
        return len(self.common) + len(self.own)

    def of_run(self, run: int) -> tuple[int, ...]:
        """The hashes for run number `run`."""
        if not self.own:
            return self.common
        salt = (run + 1) * self.stride
        return (*self.common, *[block + salt for block in self.own])


_Prompt = tuple[tuple[str, ...], int, float]
"""Traced blocks, number of engine blocks, traced blocks per engine block."""


def prompt_blocks(calls: Iterable[Call]) -> Mapping[str, Blocks]:
    """Blocks by call, for calls of one item whose prompt is known. Equal prefixes have equal
    blocks.
    """
    known = [call for call in calls if call.prompt_tokens and call.prompt_blocks]
    per_token = _chars_per_token(known)
    runs: defaultdict[str, set[str]] = defaultdict(set)
    for blocks_of, run in {(c.prompt_blocks, f"{c.workflow}/{c.run}") for c in known}:
        for block in blocks_of:
            runs[block].add(run)
    numbers: dict[tuple[str, int], int] = {}
    blocks: dict[_Prompt, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    found: dict[str, _Prompt] = {}
    for call in known:
        count = (call.prompt_tokens or 0) // BLOCK_TOKENS if call.items == 1 else 0
        size = BLOCK_TOKENS * per_token[call.llm] / BLOCK_CHARS
        prompt = found.setdefault(call.call, (call.prompt_blocks, count, size))
        if prompt in blocks:  # the calls of a fan-out have one prompt
            continue
        common: list[int] = []
        own: list[int] = []
        for index in range(count):
            traced = math.ceil((index + 1) * size - 1e-9) - 1
            if traced >= len(call.prompt_blocks):
                break
            name = call.prompt_blocks[traced]
            number = numbers.setdefault((name, index), len(numbers))
            (common if len(runs[name]) > 1 else own).append(number)
        blocks[prompt] = tuple(common), tuple(own)
    stride = len(numbers) or 1
    shared = {prompt: Blocks(common, own, stride) for prompt, (common, own) in blocks.items()}
    return {call: shared[prompt] for call, prompt in found.items()}


def _chars_per_token(calls: Iterable[Call]) -> dict[str, float]:
    chars: defaultdict[str, int] = defaultdict(int)
    tokens: defaultdict[str, int] = defaultdict(int)
    for call in calls:
        chars[call.llm] += call.prompt_chars
        tokens[call.llm] += call.prompt_tokens or 0
    return {llm: chars[llm] / tokens[llm] for llm in tokens}
