"""The sizes of the tiny LLMs (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Size = Literal["tiny", "small"]


@dataclass(frozen=True, slots=True)
class TinySize:
    """The dimensions of a Llama."""

    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    context: int = 4096

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads


SHAPES: dict[Size, TinySize] = {
    "tiny": TinySize(layers=4, hidden=256, feed_forward=768, heads=4, kv_heads=2),
    "small": TinySize(layers=12, hidden=768, feed_forward=2048, heads=12, kv_heads=4),
}
"""LLMs of 3 and 76 million parameters. The second takes about seven times as long for a token."""
