"""How long one step of a continuous-batching engine takes."""

from __future__ import annotations

from typing import NamedTuple

from scepsy.core.llm import LlmSpec
from scepsy.gpus import GpuConstants, bandwidth_kept, compute_stretch

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


class StepTimer:
    """Seconds per step of `llm` over `tp` GPUs with `gpu_share` of the compute of each.

        step = ((weights / bandwidth)^q + (gemm / flops)^q)^(1/q)
               + kv / bandwidth + attention / flops + all-reduce + overhead

    A roofline whose efficiencies were fitted to measured kernels (`gpus.py`). A share stretches
    memory traffic and compute each in its own way, and leaves overheads and all-reduce alone.
    Affine in `decode_kv`, with slope `per_kv_token`.
    """

    def __init__(
        self, llm: LlmSpec, gpu: GpuConstants, *, tp: int = 1, gpu_share: float = 1.0
    ) -> None:
        bandwidth = gpu.bandwidth * bandwidth_kept(gpu_share)
        flops = gpu.flops * tp / compute_stretch(gpu_share)
        self._overlap = gpu.overlap
        self._ramp = gpu.token_ramp
        self._reading = llm.weight_bytes / (tp * bandwidth * gpu.weight_efficiency)
        self._weights = self._reading**gpu.overlap
        self._root = 1.0 / gpu.overlap
        self._gemm = 2.0 * llm.parameters / (flops * gpu.gemm_efficiency)
        self._attention = 4.0 * llm.layers * llm.hidden / (flops * gpu.attention_efficiency)
        self._all_reduce = (
            2 * llm.layers * 2 * (2.0 * llm.hidden) * (tp - 1) / tp / gpu.all_reduce_bandwidth
        )
        self._overhead = STEP_OVERHEAD + gpu.layer_overhead * llm.layers
        self.per_kv_token = llm.kv_bytes_per_token / (
            min(tp, llm.kv_heads) * bandwidth * gpu.kv_efficiency
        )

    def seconds(self, load: StepLoad) -> float:
        return self.cost(load)[0]

    def cost(self, load: StepLoad) -> tuple[float, float]:
        """Seconds of a step, and the part of them, from 0 to 1, in which it reads memory."""
        prefill, attended, decodes, decode_kv = load
        tokens = prefill + decodes
        kv = self.per_kv_token * decode_kv
        seconds = (
            (self._weights + (self._gemm * (tokens + self._ramp)) ** self._overlap) ** self._root
            + kv
            + self._attention * attended
            + self._all_reduce * tokens
            + self._overhead
        )
        return seconds, (self._reading + kv) / seconds
