"""How long one step of a continuous-batching engine takes, and how much of it reads memory."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from scepsy.core.llm import LlmSpec
from scepsy.hardware.gpus import GpuConstants, bandwidth_kept, compute_stretch
from scepsy.hardware.host_time import host_time
from scepsy.hardware.memory import kv_bytes_per_layer


class StepLoad(NamedTuple):
    """The work of one step. Counts; means where several steps are taken together.

    Attributes:
        prefill_tokens: prompt tokens computed.
        attended: sum over the prompt chunks of tokens * (tokens before the chunk + tokens / 2).
        decodes: sequences that get one more token.
        decode_kv: tokens of KV cache that those sequences read.
    """

    prefill_tokens: float = 0
    attended: float = 0.0
    decodes: float = 0
    decode_kv: float = 0


class Timer(Protocol):
    """Step times of one engine, as a simulated engine asks for them.

    `per_kv_token` is how many seconds longer a step takes for each further token of KV that it
    reads. With it a simulation computes a whole row of decode steps at once.
    """

    @property
    def per_kv_token(self) -> float: ...
    def cost(self, load: StepLoad) -> tuple[float, float]:
        """Seconds of a step, and the part of them, from 0 to 1, in which it reads memory.

        That part is the one truth about the step's memory traffic: while it lasts, the engine
        draws all the bandwidth that its GPU share can (`contention`).
        """
        ...


class CallTokens(NamedTuple):
    """Lengths of a call in tokens: `prompt`, of which `cached` need not be computed, and
    `output`.
    """

    prompt: float
    output: float
    cached: float = 0


class StepTimer:
    """Seconds per step of `llm` over `tp` GPUs with `gpu_share` of the compute of each.

        step = ((weights / bandwidth)^q + (gemm / flops)^q)^(1/q)
               + (kv + activations) / bandwidth + attention / flops + all-reduce + overhead

    A roofline whose efficiencies were fitted to measured kernels (`gpus.py`). A step reads the body
    of the weights, the output head and, of a mixture, the experts that its tokens are expected to
    visit. It does not read embedding tables, in which tokens are looked up. A GPU share stretches
    memory traffic and compute each in its own way, and leaves overheads and all-reduce alone. The
    result is affine in `decode_kv`, with slope `per_kv_token`.

    `host_overhead` is host work per step in seconds; by default that of the LLM's engine kind.
    """

    def __init__(
        self,
        llm: LlmSpec,
        gpu: GpuConstants,
        *,
        tp: int = 1,
        gpu_share: float = 1.0,
        host_overhead: float | None = None,
    ) -> None:
        host = host_time(llm.engine).step if host_overhead is None else host_overhead
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
        kv = kv_bytes_per_layer(llm, tp) / (bandwidth * gpu.kv_efficiency)
        self.per_kv_token = kv * (llm.layers - llm.window_layers)
        self._window_kv = kv * llm.window_layers * llm.window
        reduce = gpu.all_reduce_among(tp)
        sent = 2 * 2.0 * llm.hidden * (tp - 1) / tp
        activations = gpu.activation_passes * 2.0 * llm.hidden / bandwidth
        self._per_token = llm.layers * (activations + 2 * sent / reduce.bandwidth)
        self._overhead = host + llm.layers * (gpu.layer_overhead + 2 * reduce.latency)
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


def call_cost(
    timer: Timer, call: CallTokens, *, step_tokens: int, batch: float = 1.0, prompts: float = 1.0
) -> tuple[float, float]:
    """Seconds of an engine's time that one call takes, and the part of them, from 0 to 1, in which
    the engine reads memory.

    Prompts are computed in chunks, those of `prompts` such calls in the same steps of at most
    `step_tokens` tokens; each further output token takes a step, which `batch` such calls share.
    With one call at a time the seconds are those from sending the call to an idle engine to its
    last token, without `HostTime.request`.
    """
    seconds = reading = 0.0
    done = min(call.cached, call.prompt)
    while done < call.prompt:
        chunk = min(call.prompt - done, step_tokens / prompts)
        step, part = timer.cost(StepLoad(prompts * chunk, prompts * chunk * (done + chunk / 2)))
        seconds, reading = seconds + step / prompts, reading + step / prompts * part
        done += chunk
    steps = max(0.0, call.output - 1) / batch
    if steps:
        kv = batch * (call.prompt + call.output / 2)  # step i of a call reads prompt + i tokens
        step, part = timer.cost(StepLoad(decodes=batch, decode_kv=kv))
        seconds, reading = seconds + steps * step, reading + steps * step * part
    return seconds, reading / seconds if seconds else 0.0
