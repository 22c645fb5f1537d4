"""Step times of a point's engine: the oracle's, of what runs there, or our roofline's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import msgspec
from experiments.silicon.points import Point
from experiments.silicon.recipes import recipe

from scepsy.core.llm import LlmSpec
from scepsy.errors import BadInput
from scepsy.estimate.step_times.oracle import Oracle
from scepsy.hardware.architectures import shape_called
from scepsy.hardware.gpus import gpu_constants, gpus
from scepsy.hardware.step_time import StepLoad, StepTimer, Timer

Source = Literal["oracle", "roofline"]

UNTUNED = 1.2
"""Operators that take so much longer on one GPU than another engine's were not measured with the
kernels that are served: fp8 products of blocks that were not tuned, say, or products in four bits
that are slower than those in eight. The other engine's are taken.
"""
VERSIONS = {"trtllm": "1.3.0rc23", "sglang": "0.5.14", "vllm": "0.24.0"}


def spec_of(point: Point) -> LlmSpec:
    """Weights in four bits are computed in fp8, as far as we know."""
    fp8 = point.weights != "bf16"
    name = point.llm if point.llm != "qwen3-235b-a22b" else f"{point.llm}-fp8"
    shape = dict(shape_called(name))
    if point.llm != "gpt-oss-120b":
        width = 0.5625 if point.weights == "nvfp4" else 1.0 if fp8 else 2.0
        shape |= {"bytes_per_parameter": width, "fp8": fp8}
        if shape["experts"] is not None:
            shape["experts"] = msgspec.structs.replace(shape["experts"], bytes_per_parameter=width)
    return LlmSpec(name=point.llm, kv_bytes=recipe(point).kv_bytes, **shape)


@dataclass(frozen=True, slots=True)
class OracleTimer:
    """The oracle, asked for every step."""

    seconds: Callable[[int, int, int, int, float], float]
    per_kv_token: float

    def cost(self, load: StepLoad) -> tuple[float, float]:
        """Prompts so long that half of each is what its tokens attend to on average."""
        tokens, attended, decodes, kv = load
        prompts = cached = 0
        if tokens:
            context = attended / tokens
            prompts = max(1, round(tokens / 2 / context))
            cached = max(0, round(context - tokens / 2)) if prompts == 1 else 0
        return self.seconds(prompts, tokens, cached, decodes, kv), 1.0


ORACLE_LLMS = {
    ("llama-3.1-70b", "fp8"): ("llama-3.1-70b-fp8", {}),
    ("llama-3.1-70b", "nvfp4"): (
        "llama-3.1-70b",
        {"weight_dtype": "nvfp4", "kv_cache_dtype": "fp8"},
    ),
    ("minimax-m2.5", "nvfp4"): ("nvidia/MiniMax-M2.5-NVFP4", {}),
    ("minimax-m2.5", "fp8"): ("MiniMaxAI/MiniMax-M2.5", {}),
    ("qwen3-235b-a22b", "fp8"): ("Qwen/Qwen3-235B-A22B-FP8", {}),
    ("qwen3-235b-a22b", "fp8_block"): ("Qwen/Qwen3-235B-A22B-FP8", {}),
}


def operators(llm: str, gpu: str, backend: str) -> tuple[tuple[str, dict[str, str]], ...]:
    """Whose measured operators to ask for, best first: those of the point's own engine, then those
    of others where it has none.

    gpt-oss on B200 runs MXFP4 weights with MXFP8 activations in both engines (the launch scripts
    say so): SGLang's operators, the only ones measured like that for more than one GPU.
    """
    if llm == "gpt-oss-120b" and gpu == "b200":
        return (("sglang", {"moe_dtype": "w4a8_mxfp4_mxfp8"}),)
    return tuple((engine, {}) for engine in dict.fromkeys((backend, *VERSIONS)))


@cache
def timer_of(point: Point, kv_bytes: float, source: Source) -> Timer | str:
    """Step times on whole GPUs without a host's work, or why there are none. Of the point, only how
    the engine was set up counts.
    """
    llm, weights, gpu, tp, ep = point.llm, point.weights, point.gpu, point.tp, point.ep
    spec = msgspec.structs.replace(spec_of(point), kv_bytes=kv_bytes)
    if source == "roofline" and gpu not in gpus():
        return "no constants of this GPU"
    if source == "roofline":
        return StepTimer(spec, gpu_constants(gpu), tp=tp, host_overhead=0.0)
    plain = {} if weights in ("bf16", "nvfp4") or spec.experts else {"weight_dtype": weights}
    name, more = ORACLE_LLMS.get((llm, weights), (llm, plain))
    if spec.kv_bytes > 1 and llm == "llama-3.1-70b":
        more = {**more, "kv_cache_dtype": "bfloat16"}
    elif spec.kv_bytes == 1:
        more = {**more, "kv_cache_dtype": "fp8"}
    if spec.experts:
        more = {**more, "moe_tp_size": tp // ep, "moe_ep_size": ep}
    found: list[tuple[OracleTimer, float]] = []
    reason = ""
    for engine, special in operators(llm, gpu, point.backend):
        theirs = {**more, **special, "backend": engine}
        timer = _asked(name, gpu, tp, theirs, mixture=bool(spec.experts))
        if isinstance(timer, str):
            reason = reason or timer
        else:
            found.append((timer, _on_one_gpu(name, gpu, theirs, mixture=bool(spec.experts))))
    if not found:
        return reason
    best = min(found, key=lambda one: one[1])
    return best[0] if found[0][1] > UNTUNED * best[1] else found[0][0]


def _on_one_gpu(name: str, gpu: str, more: dict[str, object], *, mixture: bool) -> float:
    """Seconds for a token each of eight sequences, without communication; endless if unknown."""
    alone = {"moe_tp_size": 1, "moe_ep_size": 1} if mixture else {}
    timer = _asked(name, gpu, 1, {**more, **alone}, mixture=mixture)
    return math.inf if isinstance(timer, str) else timer.seconds(0, 0, 0, 8, 8 * 2048)


def _asked(
    name: str, gpu: str, tp: int, more: dict[str, object], *, mixture: bool
) -> OracleTimer | str:
    """The oracle for one engine's operators, or what it lacks."""
    version = {"backend_version": VERSIONS[str(more["backend"])]}
    if more["backend"] == "sglang" and "moe_dtype" in more:
        more = {key: value for key, value in more.items() if key != "kv_cache_dtype"}
    try:
        ask = lru_cache(1 << 16)(
            Oracle.of(name, gpu, tp, mixture=mixture, more={**more, **version}).seconds
        )
        ask(1, 2048, 0, 8, 8192)
        slope = (ask(0, 0, 0, 64, 64 * 4096) - ask(0, 0, 0, 64, 64 * 1024)) / (64 * 3072)
    except BadInput as error:
        return str(error)
    return OracleTimer(ask, max(0.0, slope))
