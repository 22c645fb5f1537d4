"""How much KV fits: tokens, blocks and bytes."""

from __future__ import annotations

import math

from scepsy.core.llm import LlmSpec

BLOCK_TOKENS = 16
"""Tokens of KV per block, as in vLLM on GPUs."""


def engine_memory(gpu_memory: float) -> float:
    """Bytes of each GPU that an engine needs besides weights and KV (context, activations)."""
    return min(2e9, 0.02 * gpu_memory)


def blocks_for(tokens: int) -> int:
    return -(-tokens // BLOCK_TOKENS)


def kv_capacity(llm: LlmSpec, *, tp: int, memory_share: float, gpu_memory: float) -> int:
    """Tokens of KV cache left beside the weights, in whole blocks; negative where those alone do
    not fit. A memory share below one buys that part of each of the `tp` GPUs.
    """
    room = tp * (memory_share * gpu_memory - engine_memory(gpu_memory)) - llm.weight_bytes
    return math.floor(room / llm.kv_bytes_per_token / BLOCK_TOKENS) * BLOCK_TOKENS
