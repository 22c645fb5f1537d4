"""A decoder in plain torch: one step over prompt tokens and decoding sequences together.

Linear layers run over all tokens of the step at once, attention apart for the prompt and for the
decoding sequences, as continuous-batching engines do. The KV cache is one pool; each sequence has
a contiguous slot in it (a page as long as its context), because plain torch has no paged kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from benchmarks.gpu.jobs import Point
from benchmarks.gpu.shapes import Shape
from torch.nn.attention.bias import causal_lower_right


class Decoder:
    """Random weights and a pool of `kv_tokens` of KV cache on `device`."""

    def __init__(
        self, shape: Shape, device: torch.device, dtype: torch.dtype, kv_tokens: int
    ) -> None:
        self.shape, self.device, self.dtype = shape, device, dtype
        queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim

        def weights(rows: int, columns: int) -> torch.Tensor:
            return torch.empty(rows, columns, device=device, dtype=dtype).normal_(std=0.02)

        self._layers = [
            (
                weights(queries + 2 * keys, shape.hidden),
                weights(shape.hidden, queries),
                weights(2 * shape.ffn, shape.hidden),
                weights(shape.hidden, shape.ffn),
            )
            for _ in range(shape.layers)
        ]
        self._embedding = weights(shape.vocab, shape.hidden)
        self._head = self._embedding if shape.tied else weights(shape.vocab, shape.hidden)
        self._norm = torch.ones(shape.hidden, device=device, dtype=dtype)
        self._pool = torch.empty(
            shape.layers, 2, kv_tokens * keys, device=device, dtype=dtype
        ).normal_()

    def step(self, point: Point, tokens: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
        """The next token of the prompt (if any) and of each decoding sequence.

        tokens: ids of the prompt's tokens, then of the decoding sequences. turn: their rotary
        angles, from `rotation`.
        """
        shape = self.shape
        hidden = F.embedding(tokens, self._embedding)
        for layer, (qkv, out, gate_up, down) in enumerate(self._layers):
            projected = F.linear(self._normed(hidden), qkv).view(
                len(tokens), shape.heads + 2 * shape.kv_heads, shape.head_dim
            )
            hidden = hidden + F.linear(self._attend(point, layer, projected, turn), out)
            gate, up = F.linear(self._normed(hidden), gate_up).chunk(2, dim=-1)
            hidden = hidden + F.linear(F.silu(gate) * up, down)
        last = hidden[max(point.prefill - 1, 0) :]
        return F.linear(self._normed(last), self._head).argmax(dim=-1)

    def rotation(self, point: Point) -> torch.Tensor:
        """(2, tokens, 1, head_dim): cosine and sine of each token's rotary angles."""
        prompt = torch.arange(point.prefix, point.prefix + point.prefill)
        positions = torch.cat([prompt, torch.full((point.decodes,), point.context - 1)])
        half = self.shape.head_dim // 2
        angles = positions[:, None] * 10_000.0 ** -(torch.arange(half) / half)
        angles = torch.cat([angles, angles], dim=-1)[:, None]
        return torch.stack([angles.cos(), angles.sin()]).to(self.device, self.dtype)

    def _normed(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(hidden, (self.shape.hidden,), self._norm)

    def _attend(
        self, point: Point, layer: int, projected: torch.Tensor, turn: torch.Tensor
    ) -> torch.Tensor:
        shape = self.shape
        turned, values = projected.split([shape.heads + shape.kv_heads, shape.kv_heads], dim=1)
        left, right = turned.chunk(2, dim=-1)
        turned = turned * turn[0] + torch.cat([-right, left], dim=-1) * turn[1]
        queries, keys = turned.split([shape.heads, shape.kv_heads], dim=1)
        parts: list[torch.Tensor] = []
        if point.prefill:
            part = slice(0, point.prefill)
            parts.append(self._prompt(point, layer, queries[part], (keys[part], values[part])))
        if point.decodes:
            part = slice(point.prefill, None)
            parts.append(self._decode(point, layer, queries[part], (keys[part], values[part])))
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _slots(self, layer: int, start: int, count: int, length: int) -> torch.Tensor:
        """(2, count, kv_heads, length, head_dim): keys, values from token `start` of the pool."""
        per_token = self.shape.kv_heads * self.shape.head_dim
        part = self._pool[layer, :, start * per_token : (start + count * length) * per_token]
        return part.view(2, count, self.shape.kv_heads, length, self.shape.head_dim)

    def _prompt(
        self,
        point: Point,
        layer: int,
        queries: torch.Tensor,
        new: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        cache = self._slots(layer, 0, 1, point.prefix + point.prefill)
        for side in (0, 1):
            cache[side, 0, :, point.prefix :] = new[side].transpose(0, 1)
        grouped = self.shape.heads != self.shape.kv_heads
        bias = causal_lower_right(point.prefill, point.prefix + point.prefill)
        attended = F.scaled_dot_product_attention(
            queries.transpose(0, 1)[None],
            cache[0],
            cache[1],
            attn_mask=bias if point.prefix else None,
            is_causal=not point.prefix,
            enable_gqa=grouped,
        )
        return attended[0].transpose(0, 1).reshape(point.prefill, -1)

    def _decode(
        self,
        point: Point,
        layer: int,
        queries: torch.Tensor,
        new: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        shape = self.shape
        start = (point.prefix + point.prefill) * (point.prefill > 0)
        cache = self._slots(layer, start, point.decodes, point.context)
        for side in (0, 1):
            cache[side, :, :, -1] = new[side]
        # The queries of a group see the same keys: as a short sequence they share one read of them.
        attended = F.scaled_dot_product_attention(
            queries.view(point.decodes, shape.kv_heads, -1, shape.head_dim), cache[0], cache[1]
        )
        return attended.reshape(point.decodes, -1)
