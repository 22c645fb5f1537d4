"""How long one step of a continuous-batching engine takes."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from scepsy.core.llm import LlmSpec
from scepsy.hardware.gpus import GpuConstants, bandwidth_kept, compute_stretch

STEP_OVERHEAD = 2e-4
"""Seconds of host work in every step. Real engines lie between 0 and 1.5 ms; a profile says which.
"""


class StepLoad(NamedTuple):
    """What one step computes.

    Attributes:
        prefill_tokens: prompt tokens. attended: sum over the prompt chunks of tokens * (tokens
            before + tokens / 2).
        decodes: sequences that get one more token. decode_kv: tokens of KV cache that those read.
    """

    prefill_tokens: int = 0
    attended: float = 0.0
    decodes: int = 0
    decode_kv: int = 0


class Timer(Protocol):
    """How long steps take: what an engine in simulated time asks.

    Between two changes of the batch it reckons with `per_kv_token` more seconds for each token of
    KV that is read.
    """

    @property
    def per_kv_token(self) -> float: ...
    def cost(self, load: StepLoad) -> tuple[float, float]:
        """Seconds of a step, and the part of them, from 0 to 1, in which it reads memory."""
        ...


class StepTimer:
    """Seconds per step of `llm` over `tp` GPUs with `gpu_share` of the compute of each.

        step = ((weights / bandwidth)^q + (gemm / flops)^q)^(1/q)
               + (kv + activations) / bandwidth + attention / flops + all-reduce + overhead

    A roofline whose efficiencies were fitted to measured kernels (`gpus.py`). Weights are those
    that the step reads: the body, the output head, and of a mixture the experts that its tokens are
    expected to visit. A share stretches memory traffic and compute each in its own way, and leaves
    overheads and all-reduce alone. Affine in `decode_kv`, with slope `per_kv_token`.
    """

    def __init__(
        self,
        llm: LlmSpec,
        gpu: GpuConstants,
        *,
        tp: int = 1,
        gpu_share: float = 1.0,
        host_overhead: float = STEP_OVERHEAD,
    ) -> None:
        bandwidth = gpu.bandwidth * bandwidth_kept(gpu_share)
        bf16 = gpu.flops * tp / compute_stretch(gpu_share)
        flops = bf16 * (gpu.fp8 if llm.fp8 else 1.0) * gpu.gemm_efficiency
        self._overlap, self._root = gpu.overlap, 1.0 / gpu.overlap
        self._ramp = gpu.token_ramp
        self._reading = (llm.body_bytes + llm.head_bytes) / (tp * bandwidth * gpu.weight_efficiency)
        self._gemm = 2.0 * llm.body_parameters / flops
        self._head = 2.0 * llm.head_parameters / (bf16 * gpu.gemm_efficiency)
        self._experts = self._unvisited = 0.0
        if llm.experts is not None:
            visited = llm.experts.active / llm.experts.count
            flops = flops / gpu.gemm_efficiency * gpu.expert_gemm_efficiency
            self._gemm += 2.0 * visited * llm.experts.parameters / flops
            self._experts = llm.expert_bytes / (tp * bandwidth * gpu.expert_efficiency)
            self._unvisited = 1.0 - visited
        attention = 4.0 * llm.query_width / (bf16 * gpu.attention_efficiency)
        self._attention = attention * (llm.layers - llm.window_layers)
        kv = llm.kv_bytes_per_layer / (min(tp, llm.kv_heads) * bandwidth * gpu.kv_efficiency)
        self.per_kv_token = kv * (llm.layers - llm.window_layers)
        self._window_kv = kv * llm.window_layers * llm.window
        reduce = gpu.all_reduce_among(tp)
        sent = 2 * 2.0 * llm.hidden * (tp - 1) / tp
        activations = gpu.activation_passes * 2.0 * llm.hidden / bandwidth
        self._per_token = llm.layers * (activations + 2 * sent / reduce.bandwidth)
        self._overhead = host_overhead + llm.layers * (gpu.layer_overhead + 2 * reduce.latency)
        self._prefill_overhead = llm.layers * gpu.prefill_overhead
        self._window_attention = attention * llm.window_layers * llm.window

    def seconds(self, load: StepLoad) -> float:
        return self.cost(load)[0]

    def cost(self, load: StepLoad) -> tuple[float, float]:
        """Seconds of a step, and the part of them, from 0 to 1, in which it reads memory."""
        prefill, attended, decodes, decode_kv = load
        tokens = prefill + decodes
        reading = self._reading
        if self._experts:
            reading += self._experts * (1.0 - self._unvisited**tokens)
        gemm = self._gemm * (tokens + self._ramp) + self._head * decodes
        kv = self.per_kv_token * decode_kv + self._window_kv * decodes
        seconds = (
            (reading**self._overlap + gemm**self._overlap) ** self._root
            + kv
            + self._attention * attended
            + self._window_attention * prefill
            + self._per_token * tokens
            + self._overhead
            + self._prefill_overhead * (prefill > 0)
        )
        return seconds, (reading + kv) / seconds
