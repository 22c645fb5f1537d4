"""Makes an answer from seed, LLM, prompt and parameters (pure)."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import msgspec

from scepsy.engines.emulated.generation.sampling import Sampling
from scepsy.engines.emulated.generation.schema import draw
from scepsy.engines.emulated.generation.text import PIECE, Corpus, Prompt, count_tokens
from scepsy.engines.emulated.generation.tools import ToolCall, draw_calls

USUAL_TOKENS = 80
"""Median tokens of an answer to a request without `max_tokens`."""

_USUAL_SPREAD = 0.6
"""Standard deviation of the logarithm of that length: two thirds of the answers have 44 to 146
tokens.
"""

_LIMITED_MEDIAN = 0.6
"""Median length of an answer to a request with `max_tokens`, as a part of that limit."""

_LIMITED_SPREAD = 0.35
"""Standard deviation of the logarithm of that part. About 7% of answers reach the limit."""


@dataclass(frozen=True, slots=True)
class GeneratedAnswer:
    """A whole answer, text or tool calls, made before its first token is sent."""

    text: str
    tokens: int
    finish_reason: Literal["stop", "length", "tool_calls"]
    calls: tuple[ToolCall, ...] = ()


class Author:
    """Makes the answers of one LLM."""

    def __init__(self, seed: int, name: str) -> None:
        self._key = f"{seed}/{name}/".encode()
        self._corpus = Corpus(seed)

    def rng(self, *parts: bytes) -> random.Random:
        """A random generator that depends on the LLM, the seed and `parts` only."""
        digest = blake2b(self._key + b"/".join(parts), digest_size=8).digest()
        return random.Random(int.from_bytes(digest))

    def answer(
        self, prompt: Prompt, sampling: Sampling, *, index: int, room: int
    ) -> GeneratedAnswer:
        """The answer to `prompt`, with at most `room` tokens. `index` numbers the answers to one
        prompt.
        """
        rng = self.rng(prompt.digest, sampling.digest, str(index).encode())
        limit = room if sampling.max_tokens is None else min(sampling.max_tokens, room)
        if sampling.tools is not None and (calls := draw_calls(sampling.tools, rng)):
            return _calling(calls, limit)
        if sampling.bound is not None:
            return _cut(_bound_text(sampling.bound, rng), limit)
        tokens = _length(sampling, limit, rng)
        text = self._corpus.passage(rng, tokens)
        ends = [text.index(stop) for stop in sampling.stop if stop in text]
        if ends and not sampling.ignore_eos:
            text = text[: min(ends)]
            return GeneratedAnswer(text, max(1, count_tokens(text)), "stop")
        return GeneratedAnswer(text, tokens, "length" if tokens == limit else "stop")


def piece(text: str, start: int, stop: int) -> str:
    """The characters of tokens `start` to `stop`."""
    return text[start * PIECE : stop * PIECE]


def _length(sampling: Sampling, limit: int, rng: random.Random) -> int:
    if sampling.ignore_eos:
        return limit if sampling.max_tokens is not None else min(limit, USUAL_TOKENS)
    if sampling.max_tokens is None:
        drawn = rng.lognormvariate(math.log(USUAL_TOKENS), _USUAL_SPREAD)
    else:
        drawn = rng.lognormvariate(math.log(_LIMITED_MEDIAN * limit), _LIMITED_SPREAD)
    return max(1, min(limit, max(sampling.min_tokens, round(drawn))))


def _bound_text(bound: tuple[str, ...] | Mapping[str, object], rng: random.Random) -> str:
    if isinstance(bound, tuple):
        return rng.choice(bound)
    return msgspec.json.encode(draw(bound, rng)).decode()


def _calling(calls: tuple[ToolCall, ...], limit: int) -> GeneratedAnswer:
    """An answer that calls tools. Calls that do not fit into `limit` tokens become text that is cut
    off, which is what vLLM's parsers make of them.
    """
    tokens = sum(call.tokens for call in calls)
    if tokens > limit:
        raw = "".join(f'<tool_call>{{"name": "{c.name}", {c.arguments}' for c in calls)
        return GeneratedAnswer(
            piece(raw, 0, limit), max(1, min(limit, count_tokens(raw))), "length"
        )
    return GeneratedAnswer("", tokens, "tool_calls", calls)


def _cut(text: str, limit: int) -> GeneratedAnswer:
    tokens = max(1, count_tokens(text))
    if tokens > limit:
        return GeneratedAnswer(piece(text, 0, limit), limit, "length")
    return GeneratedAnswer(text, tokens, "stop")
