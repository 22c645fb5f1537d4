"""A paged KV cache: blocks, shared prefixes, and the eviction of what nobody uses."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

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


class KvCache:
    """Counts the blocks of a KV cache of `capacity` blocks.

    A block is private to one sequence, or shared under its hash (which chains over all that
    precedes it). A shared block that nobody holds stays until its room is needed; the one let go of
    longest ago goes first. `held + idle <= capacity` always.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._private = 0
        self._holders: dict[int, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()

    @property
    def held(self) -> int:
        """Blocks that some sequence holds."""
        return self._private + len(self._holders)

    @property
    def idle(self) -> int:
        """Blocks that nobody holds and a coming prompt may still share."""
        return len(self._idle)

    @property
    def available(self) -> int:
        """Blocks that can be had, by eviction if need be."""
        return self.capacity - self.held

    def match(self, hashes: Sequence[int]) -> int:
        """How many leading blocks are here."""
        for count, block in enumerate(hashes):
            if block not in self._holders and block not in self._idle:
                return count
        return len(hashes)

    def take(self, shared: Sequence[int], private: int) -> bool:
        """Hold the blocks `shared`, which are here, and `private` new ones; all or, returning
        False, none.
        """
        taken = self._private + len(self._holders) + private
        if shared:
            waking = sum(block in self._idle for block in shared)
            if taken + waking > self.capacity:
                return False
            for block in shared:
                self._hold(block)
        elif taken > self.capacity:
            return False
        self._private += private
        if self._idle:
            self._evict()
        return True

    def share(self, blocks: Sequence[int]) -> None:
        """Turn private blocks into shared ones, or further holds of equal ones that are here."""
        self._private -= len(blocks)
        for block in blocks:
            self._hold(block)

    def give(self, shared: Sequence[int], private: int) -> None:
        """Let go of blocks. The last of `shared` will be evicted first: a prefix outlives what
        follows it.
        """
        self._private -= private
        for block in reversed(shared):
            holders = self._holders.pop(block)
            if holders == 1:
                self._idle[block] = None
            else:
                self._holders[block] = holders - 1

    def _hold(self, block: int) -> None:
        holders = self._holders.get(block, 0)
        self._holders[block] = holders + 1
        if not holders:
            self._idle.pop(block, None)

    def _evict(self) -> None:
        while self.held + len(self._idle) > self.capacity:
            self._idle.popitem(last=False)
