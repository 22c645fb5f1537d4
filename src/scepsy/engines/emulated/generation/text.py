"""Text and tokens of an emulated LLM: a token is a piece of four characters (pure)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from zlib import crc32

from scepsy.hardware.memory import BLOCK_TOKENS

PIECE = 4
"""Characters per token. English text has about as many with a real tokenizer."""

VOCABULARY = 128_000
"""Number of token ids, about as many as Llama 3 has."""

_WORDS = """
the of and to in is that for it as was with be by on not he his but at are this have from or had
an they which one you were all her she there would their we him been has when who will no more if
out so up said what its about than into them can only other time new some could these two may
first then do any like my now over such our man me even most made after also did many off before
must well back through years much where your way down should because long each just state people
those too mr how little good world make very year still see own work men day get here old life
both between being under three never know same last another while us might great go come since
against right came take used himself few house use place during high without again home around
small however found part number water answer step reason result proof check value equal thus given
hence total sum product factor compare evidence passage query score
""".split()  # noqa: SIM905 - a list of quoted words reads worse


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: its number of tokens, the chained hashes of its full KV blocks, and a digest of the
    whole.
    """

    tokens: int
    blocks: tuple[int, ...]
    digest: bytes


def text_prompt(text: str) -> Prompt:
    tokens, size = count_tokens(text), PIECE * BLOCK_TOKENS
    full = tokens // BLOCK_TOKENS
    blocks = _chain(text[i : i + size] for i in range(0, full * size, size))
    return Prompt(tokens, blocks, blake2b(text.encode(), digest_size=8).digest())


def token_prompt(ids: Sequence[int]) -> Prompt:
    full = len(ids) // BLOCK_TOKENS * BLOCK_TOKENS
    blocks = _chain(tuple(ids[i : i + BLOCK_TOKENS]) for i in range(0, full, BLOCK_TOKENS))
    return Prompt(len(ids), blocks, blake2b(repr(ids).encode(), digest_size=8).digest())


def count_tokens(text: str) -> int:
    return -(-len(text) // PIECE)


def token_ids(text: str) -> list[int]:
    """A token's id is a hash of its characters."""
    return [crc32(text[i : i + PIECE].encode()) % VOCABULARY for i in range(0, len(text), PIECE)]


def words(text: str) -> list[str]:
    """Lower-case words, without punctuation."""
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


class Corpus:
    """English-like text, drawn once per seed, from which answers are taken."""

    def __init__(self, seed: int, length: int = 1 << 17) -> None:
        rng = random.Random(seed)
        parts: list[str] = []
        for _ in range(length // 40):
            sentence = " ".join(rng.choices(_WORDS, k=rng.randint(4, 14)))
            parts.append(sentence[0].upper() + sentence[1:] + ". ")
        self._text = "".join(parts)

    def passage(self, rng: random.Random, tokens: int) -> str:
        """Exactly `tokens` tokens, from a place drawn at random."""
        start, length = rng.randrange(len(self._text)), tokens * PIECE
        repeats = (start + length) // len(self._text) + 1
        return (self._text * repeats)[start : start + length]


def _chain(pieces: Iterable[str | tuple[int, ...]]) -> tuple[int, ...]:
    """The hash of each block, computed over all blocks up to it. Python's own hash is ten times
    faster than a digest, and blocks are compared within one process only.
    """
    blocks, last = list[int](), 0
    for piece in pieces:
        last = hash((last, piece))
        blocks.append(last)
    return tuple(blocks)
