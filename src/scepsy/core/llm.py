"""What is known of an LLM before it runs: its size, and what its engine is."""

from __future__ import annotations

from typing import Literal

from scepsy.core.record import Record

LlmKind = Literal["generate", "embed", "rerank"]
EngineKind = Literal["emulated", "llamacpp", "vllm", "sglang", "endpoint"]


class LlmSpec(Record, frozen=True, kw_only=True):
    """One LLM that we place. Sizes are those of the real weights, whichever engine serves them.

    Attributes:
        name: the name that programs ask for.
        engine: which adapter serves it.
        kind: what it can be asked for.
        parameters: weights, as a count.
        layers, hidden, kv_heads, head_dim: shape of the transformer.
        bytes_per_parameter: 2 for bf16, 1 for fp8.
        max_context: longest prompt plus output, in tokens.
        max_sequences: most sequences in one batch (vLLM's --max-num-seqs).
        max_tp: largest tensor-parallel degree to consider.
        min_kv_tokens: fewest tokens of KV cache that a replica must hold.
        model_path: weights on disk, or a folder with `config.json`, for engines that load some.
        url: where it is served already (engine "endpoint"): it is recorded and routed to, never
            started or placed.
        flags: added to the engine's command line as they are, for what Scepsy has no word for.
    """

    name: str
    engine: EngineKind = "emulated"
    kind: LlmKind = "generate"
    parameters: float = 0.0
    layers: int = 1
    hidden: int = 1
    kv_heads: int = 1
    head_dim: int = 1
    bytes_per_parameter: float = 2.0
    max_context: int = 8192
    max_sequences: int = 64
    max_tp: int = 8
    min_kv_tokens: int = 16384
    model_path: str | None = None
    url: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def weight_bytes(self) -> float:
        return self.parameters * self.bytes_per_parameter

    @property
    def kv_bytes_per_token(self) -> float:
        """Bytes of keys and values per token, over all layers (bf16)."""
        return 2.0 * self.layers * self.kv_heads * self.head_dim * 2.0
