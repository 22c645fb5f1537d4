"""What is known of an LLM before it runs: its size and shape, and which engine serves it."""

from __future__ import annotations

from typing import Literal

from scepsy.core.record import Record

LlmKind = Literal["generate", "embed", "rerank"]
EngineKind = Literal["emulated", "llamacpp", "vllm", "sglang", "endpoint"]


class Experts(Record, frozen=True, kw_only=True):
    """The experts of a mixture-of-experts LLM.

    Attributes:
        count: experts in a layer.
        active: experts of a layer that each token visits.
        parameters: weights of all experts in all layers, as a count.
        bytes_per_parameter: bytes per weight of the experts alone.
        intermediate: inner width of one expert; 0 if unknown.
        weight_block: as in `LlmSpec`, for the experts alone.
    """

    count: int
    active: int
    parameters: float
    bytes_per_parameter: float = 2.0
    intermediate: int = 0
    weight_block: tuple[int, int] = (1, 1)


class LlmSpec(Record, frozen=True, kw_only=True):
    """One LLM that Scepsy places. Sizes are those of the real weights, also where the emulated
    engine serves the LLM.

    Attributes:
        name: the name by which programs ask for it.
        engine: the engine that serves it.
        kind: what it does: generate text, embed, or rerank (score documents against a query).
        architecture: a shape that ships with Scepsy (`scepsy.hardware.architectures`); it fills in
            the numbers that are not given.
        parameters: number of weights, all experts included.
        lookup_parameters: number of weights in tables that are looked up and never read whole (the
            input embedding, unless the output head uses the same table).
        head_parameters: number of weights in the output head, which is read in every step and used
            for sampled tokens only.
        layers: number of transformer layers.
        hidden: width of the hidden state.
        heads: number of attention heads (of queries); 0 means hidden / head_dim.
        kv_heads: number of heads of keys and values.
        head_dim: width of one head.
        intermediate: inner width of the dense feed-forward layers; 0 if unknown, or if there are
            none.
        experts: the experts of a mixture; None for a dense LLM.
        window: number of last tokens to which the layers with a sliding window attend.
        window_layers: number of layers with a sliding window.
        bytes_per_parameter: 2 for bf16, 1 for fp8. The output head and lookup tables always count
            2.
        fp8: whether matrix products are computed in fp8 on GPUs that can.
        quantization: format of a quantised checkpoint ("fp8", "awq", ...); empty if it is not
            quantised.
        weight_block: rows and columns of a weight matrix that share one scale. Tensor parallelism
            cannot split a block. (1, 1) means no blocks.
        kv_bytes: bytes of one number in the KV cache; 2 for bf16.
        max_context: longest prompt plus output, in tokens.
        max_sequences: highest number of sequences in one batch (vLLM's --max-num-seqs).
        max_tp: largest tensor-parallel degree to consider.
        min_kv_tokens: fewest tokens of KV cache that a replica must hold.
        model_path: the weights on disk (a folder, or a GGUF file for llama.cpp), or a folder with a
            `config.json` alone.
        url: address of an endpoint that serves the LLM already (engine "endpoint"). It is recorded
            and routed to, never started or placed.
        api_key_env: environment variable that holds the endpoint's key. The key is not written
            anywhere. Without it, the callers' own credentials are passed on to the endpoint.
        rate_limit: highest number of calls per second that the endpoint accepts; None if unknown.
        flags: options added unchanged to the engine's command line.
    """

    name: str
    engine: EngineKind = "emulated"
    kind: LlmKind = "generate"
    architecture: str | None = None
    parameters: float = 0.0
    lookup_parameters: float = 0.0
    head_parameters: float = 0.0
    layers: int = 1
    hidden: int = 1
    heads: int = 0
    kv_heads: int = 1
    head_dim: int = 1
    intermediate: int = 0
    experts: Experts | None = None
    window: int = 0
    window_layers: int = 0
    bytes_per_parameter: float = 2.0
    fp8: bool = False
    quantization: str = ""
    weight_block: tuple[int, int] = (1, 1)
    kv_bytes: float = 2.0
    max_context: int = 8192
    max_sequences: int = 64
    max_tp: int = 8
    min_kv_tokens: int = 16384
    model_path: str | None = None
    url: str | None = None
    api_key_env: str | None = None
    rate_limit: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def expert_parameters(self) -> float:
        return self.experts.parameters if self.experts else 0.0

    @property
    def body_parameters(self) -> float:
        """Number of weights that every token passes: without lookup tables, output head and
        experts.
        """
        tables = self.lookup_parameters + self.head_parameters
        return self.parameters - tables - self.expert_parameters

    @property
    def body_bytes(self) -> float:
        return self.body_parameters * self.bytes_per_parameter

    @property
    def head_bytes(self) -> float:
        return self.head_parameters * max(self.bytes_per_parameter, 2.0)

    @property
    def expert_bytes(self) -> float:
        return self.experts.parameters * self.experts.bytes_per_parameter if self.experts else 0.0

    @property
    def hosted(self) -> bool:
        """Whether it is served by an endpoint that Scepsy does not start."""
        return self.engine == "endpoint"

    @property
    def weight_bytes(self) -> float:
        tables = self.lookup_parameters * max(self.bytes_per_parameter, 2.0)
        return self.body_bytes + self.head_bytes + tables + self.expert_bytes

    @property
    def query_width(self) -> int:
        """Width of the queries of one token in one layer: heads x head dimension."""
        return self.heads * self.head_dim or self.hidden

    @property
    def kv_bytes_per_token(self) -> float:
        """Bytes of keys and values per token in all layers that see the whole context, each KV head
        counted once. What a GPU of a tensor-parallel group holds: `hardware.memory`.
        """
        return (self.layers - self.window_layers) * self.kv_bytes_per_layer

    @property
    def kv_bytes_per_layer(self) -> float:
        """The same in one layer."""
        return 2.0 * self.kv_heads * self.head_dim * self.kv_bytes
