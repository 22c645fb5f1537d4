"""The LLMs whose steps are measured: shapes of public ones, with random weights."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder-only transformer with grouped-query attention and a gated MLP."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    tied: bool

    @property
    def parameters(self) -> int:
        """Weights as a count; an embedding that is also the output matrix counts once."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        layer = attention + 3 * self.hidden * self.ffn
        return self.layers * layer + self.vocab * self.hidden * (1 if self.tied else 2)

    def kv_bytes_per_token(self, element: int = 2) -> int:
        """Bytes of keys and values of one token, over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * element


SMALL = Shape("qwen3-0.6b", 28, 1024, 16, 8, 128, 3072, 151936, tied=True)
LARGE = Shape("llama-3.1-8b", 32, 4096, 32, 8, 128, 14336, 128256, tied=False)
TINY = Shape("tiny", 2, 128, 4, 2, 32, 256, 512, tied=True)
LESS_TINY = Shape("less-tiny", 4, 256, 8, 2, 32, 512, 512, tied=False)

SHAPES = {shape.name: shape for shape in (SMALL, LARGE, TINY, LESS_TINY)}
