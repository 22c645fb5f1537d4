"""Which LLM's weights a pool member holds, and the time that a switch to another LLM takes."""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.core.llm import LlmSpec
from scepsy.hardware.memory import BLOCK_TOKENS, blocks_for

HOST_LINK_RATE = 16e9
"""Bytes per second between the host and one GPU, for weights and KV: the rate of the artifact's
simulator (`sim/worker.py`). A 7B LLM then takes 0.9 s; the paper reports less than a second.
"""
PREFETCHED_SWITCH_SECONDS = 0.010
"""Seconds of a switch to weights that were prefetched: the value of the artifact's simulator."""


def kv_bytes(llm: LlmSpec, tokens: int) -> float:
    """Bytes of KV of a sequence of `tokens` tokens, in whole blocks."""
    return blocks_for(tokens) * BLOCK_TOKENS * llm.kv_bytes_per_token


@dataclass(slots=True)
class Weights:
    """The memory of one TP group.

    memory: bytes of all its GPUs together. link: bytes per second from the host to all its GPUs.
    resident: the LLM whose weights are loaded. coming: the LLM whose weights are being prefetched.
    kv: bytes of KV of the calls that are being served.
    """

    memory: float
    link: float
    resident: LlmSpec | None = None
    coming: LlmSpec | None = None
    kv: float = 0.0
    _since: float = 0.0

    @property
    def taken(self) -> float:
        both = (self.resident, self.coming)
        return self.kv + sum(llm.weight_bytes for llm in both if llm is not None)

    def loading(self, llm: LlmSpec) -> float:
        """Seconds to load an LLM's weights from the host."""
        return llm.weight_bytes / self.link

    def switch(self, llm: LlmSpec, now: float) -> float:
        """Makes `llm` the resident LLM. Returns the seconds that this takes."""
        if llm is self.resident:
            return 0.0
        seconds = self.loading(llm)
        if self.coming is llm:
            seconds = max(PREFETCHED_SWITCH_SECONDS, seconds - (now - self._since))
        self.resident, self.coming = llm, None
        return seconds

    def hold(self, kv: float) -> None:
        """Sets the bytes of KV. If memory runs out, prefetched weights are dropped."""
        self.kv = kv
        if self.taken > self.memory:
            self.coming = None
        assert self.taken <= self.memory, "more KV than was admitted"

    def prefetch(self, llm: LlmSpec | None, now: float) -> None:
        """Begins to load `llm` if it fits and no other LLM is being prefetched."""
        if llm is None or llm is self.resident or self.coming is not None:
            return
        if self.taken + llm.weight_bytes <= self.memory:
            self.coming, self._since = llm, now
