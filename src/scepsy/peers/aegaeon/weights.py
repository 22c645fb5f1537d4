"""Whose weights are in the memory of a pool member, and what it takes to change that."""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.core.llm import LlmSpec
from scepsy.hardware.memory import BLOCK_TOKENS, blocks_for

LINK = 16e9
"""Bytes per second between host and GPU, for weights and KV: the rate of the artifact's simulator
(`sim/worker.py`), at which a 7B LLM takes 0.9 s; the paper reports less than a second.
"""
PREPARED = 0.010
"""Seconds of a switch to weights that were prefetched: the artifact's simulator, likewise."""


def kv_bytes(llm: LlmSpec, tokens: int) -> float:
    """Of a sequence of so many tokens, in whole blocks."""
    return blocks_for(tokens) * BLOCK_TOKENS * llm.kv_bytes_per_token


@dataclass(slots=True)
class Weights:
    """The memory of a TP group, `memory` bytes in all: one LLM's weights, perhaps those of the next
    on their way, and `kv` bytes of whoever is being served. All its GPUs together get `link` bytes
    per second from the host.
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
        """Seconds to bring an LLM's weights."""
        return llm.weight_bytes / self.link

    def switch(self, llm: LlmSpec, now: float) -> float:
        """Make `llm` the resident one; the seconds until it is."""
        if llm is self.resident:
            return 0.0
        seconds = self.loading(llm)
        if self.coming is llm:
            seconds = max(PREPARED, seconds - (now - self._since))
        self.resident, self.coming = llm, None
        return seconds

    def hold(self, kv: float) -> None:
        """KV of so many bytes is there from now on; what is on its way gives room."""
        self.kv = kv
        if self.taken > self.memory:
            self.coming = None
        assert self.taken <= self.memory, "more KV than was admitted"

    def prefetch(self, llm: LlmSpec | None, now: float) -> None:
        """Begin to load `llm`, where there is room for it and nothing else is on its way."""
        if llm is None or llm is self.resident or self.coming is not None:
            return
        if self.taken + llm.weight_bytes <= self.memory:
            self.coming, self._since = llm, now
