"""Embeddings and relevance scores of emulated LLMs: similar texts share words (pure)."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

from scepsy.engines.emulated.generation.text import words

DIMENSIONS = 256
"""Length of an embedding."""


def embed(tokens: Sequence[str]) -> list[float]:
    """A unit vector, to which each word adds or subtracts in a few dimensions given by its hash."""
    vector = [0.0] * DIMENSIONS
    for token, count in Counter(tokens).items():
        weight = math.sqrt(count)
        for dimension, sign in _directions(token):
            vector[dimension] += sign * weight
    norm = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / norm for x in vector]


def relevance(query: str, document: str, rng: random.Random) -> float:
    """A score from 0 to 1: the part of the query's words that the document contains, weighted by
    their length because long words are rarer, with some noise.
    """
    wanted, found = set(words(query)), set(words(document))
    weight = sum(len(word) for word in wanted) or 1
    overlap = sum(len(word) for word in wanted & found) / weight
    return 1.0 / (1.0 + math.exp(-(6.0 * overlap - 3.0 + rng.gauss(0.0, 0.5))))


@lru_cache(maxsize=1 << 16)
def _directions(token: str) -> tuple[tuple[int, float], ...]:
    bits = crc32(token.encode())
    parts = (bits, bits >> 9, bits >> 18)
    return tuple((part % DIMENSIONS, 1.0 if part & 256 else -1.0) for part in parts)
