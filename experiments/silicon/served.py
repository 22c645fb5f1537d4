"""One point, simulated: the kernel, one replica, a closed loop of clients at the point's
concurrency; and where its seconds went.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from statistics import fmean
from typing import Literal

import msgspec
from experiments.silicon.points import Point

from scepsy.architectures import shape_called
from scepsy.core.llm import LlmSpec
from scepsy.errors import BadInput
from scepsy.estimate.oracle import Oracle
from scepsy.gpus import gpu_constants
from scepsy.sim.agenda import Agenda
from scepsy.sim.batch import Step, StepResult
from scepsy.sim.engine import SimulatedEngine
from scepsy.sim.kv import kv_capacity
from scepsy.sim.replica import SimulatedReplica
from scepsy.sim.simulation import Ask, LlmReplicas, ServedCall, Simulation
from scepsy.sim.timing import StepLoad, StepTimer, Timer

Source = Literal["oracle", "roofline"]

ROUNDS = 10
"""Calls per client, as the public benchmark sends them."""
MEMORY_SHARE = 0.9
TIGHT, TIGHT_SHARE = ("qwen3-235b-a22b-fp8", "h200", "vllm"), 0.95
"""Ten clients of 10,000 tokens do not queue there: at 0.9 the cache holds 70,000."""
FP8_KV = {("llama-3.1-70b", "h200"), ("llama-3.1-70b", "b200"), ("minimax-m2.5", "b200")}
STEP_TOKENS = 8192
VERSIONS = {"trtllm": "1.3.0rc23", "sglang": "0.5.14", "vllm": "0.24.0"}


@dataclass(frozen=True, slots=True)
class Parts:
    """Mean over calls of what a latency is made of: seconds of steps, and their number. Steps
    `scale` times as long with `host` more each make it `scale * seconds + host * steps`: in a
    closed loop without thinking, what is in which step does not depend on how long steps take.
    """

    seconds: float
    steps: float


@dataclass(frozen=True, slots=True)
class Served:
    """To the first token, after it for each token, and as a whole; and how full the KV cache was
    at most, and how often somebody lost its blocks.
    """

    ttft: Parts
    tpot: Parts
    whole: Parts
    median_ttft: float
    preemptions: int


class Watched(SimulatedEngine):
    """Remembers how many steps were done when."""

    def __init__(self, timer: Timer, kv_tokens: int) -> None:
        super().__init__(timer, kv_tokens=kv_tokens, max_sequences=1024, step_tokens=STEP_TOKENS)
        self.times, self.counts = [0.0], [0]

    def commit(self, step: Step, steps: int) -> StepResult:
        result = super().commit(step, steps)
        self.times.append(self.counters.busy_seconds)
        self.counts.append(self.counters.steps)
        return result

    def steps_by(self, time: float) -> int:
        """Of a moment at which steps ended."""
        place = bisect_left(self.times, time * (1 - 1e-9))
        return self.counts[min(place, len(self.counts) - 1)]


def served(point: Point, source: Source) -> Served | str:
    """What the point's load meets, or why it cannot be served. Steps have no overhead of a host."""
    llm = spec_of(point)
    timer = timer_of(point.llm, point.weights, point.gpu, point.backend, point.tp, point.ep, source)
    if isinstance(timer, str):
        return timer
    memory = gpu_constants(point.gpu).memory
    share = TIGHT_SHARE if point.group == TIGHT else MEMORY_SHARE
    kv = kv_capacity(llm, tp=point.tp, memory_share=share, gpu_memory=memory)
    if kv < point.prompt_tokens + point.output_tokens + 16:
        return "its weights leave no room for one call"
    return _serve(point, Watched(timer, kv), kv)


def _serve(point: Point, engine: Watched, kv: int) -> Served:
    agenda = Agenda()
    group = LlmReplicas([SimulatedReplica("only", engine, agenda)], kv)
    simulation = Simulation(agenda, {point.llm: group})
    rng = random.Random(0)
    left = ROUNDS * point.concurrency
    run = simulation.begin_run("clients")

    def send(_ended: ServedCall | None) -> None:
        nonlocal left
        if left:
            left -= 1
            prompt, output = (
                round(nominal * rng.uniform(point.least, 1.0))
                for nominal in (point.prompt_tokens, point.output_tokens)
            )
            simulation.call(run, Ask(point.llm, prompt, max(2, output)), send)

    for _ in range(point.concurrency):
        agenda.at(0.0, partial(send), None)
    agenda.run()
    first = [_parts(engine, c.start, c.first_token) for c in simulation.calls]
    rest = [_parts(engine, c.first_token, c.end) for c in simulation.calls]
    more = [c.ask.output_tokens - 1 for c in simulation.calls]
    return Served(
        ttft=_mean(first),
        tpot=_mean([Parts(p.seconds / n, p.steps / n) for p, n in zip(rest, more, strict=True)]),
        whole=_mean([Parts(a.seconds + b.seconds, a.steps + b.steps)
                     for a, b in zip(first, rest, strict=True)]),
        median_ttft=sorted(p.seconds for p in first)[len(first) // 2],
        preemptions=engine.counters.preemptions,
    )  # fmt: skip


def _parts(engine: Watched, begin: float, end: float) -> Parts:
    return Parts(end - begin, engine.steps_by(end) - engine.steps_by(begin))


def _mean(parts: list[Parts]) -> Parts:
    return Parts(fmean(p.seconds for p in parts), fmean(p.steps for p in parts))


def spec_of(point: Point) -> LlmSpec:
    """Weights in four bits are computed in fp8, as far as we know. Which KV is fp8 is not in the
    data, but how many clients queue is (docs/evaluation/silicon.md).
    """
    fp8 = point.weights != "bf16"
    name = point.llm if point.llm != "qwen3-235b-a22b" else f"{point.llm}-fp8"
    shape = dict(shape_called(name))
    if point.llm != "gpt-oss-120b":
        width = 0.5625 if point.weights == "nvfp4" else 1.0 if fp8 else 2.0
        shape |= {"bytes_per_parameter": width, "fp8": fp8}
        if shape["experts"] is not None:
            shape["experts"] = msgspec.structs.replace(shape["experts"], bytes_per_parameter=width)
    kv = 1.0 if (point.llm, point.gpu) in FP8_KV else 2.0
    return LlmSpec(name=point.llm, kv_bytes=kv, **shape)


@dataclass(frozen=True, slots=True)
class OracleTimer:
    """The oracle, asked for every step."""

    seconds: object
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


def operators(
    llm: str, weights: str, gpu: str, backend: str
) -> tuple[tuple[str, dict[str, str]], ...]:
    """Whose measured operators to ask for, best first: those of the point's own engine, unless what
    the oracle has of them is not what runs there.

    TensorRT-LLM's of gpt-oss are there for one GPU only; on B200 it computes MXFP4 with MXFP8, as
    SGLang's do. vLLM's block-wise fp8 on B200 takes three times as long for one token as on H200:
    not a tuned kernel.
    """
    if llm == "gpt-oss-120b" and backend == "trtllm":
        native = ("sglang", {"moe_dtype": "w4a8_mxfp4_mxfp8"})
        return (native,) if gpu == "b200" else (("vllm", {}),)
    if llm == "minimax-m2.5" and weights == "fp8" and gpu == "b200":
        return (("sglang", {}),)
    return ((backend, {}), ("vllm", {})) if backend != "vllm" else (("vllm", {}),)


@cache
def timer_of(
    llm: str, weights: str, gpu: str, backend: str, tp: int, ep: int, source: Source
) -> Timer | str:
    """Step times on whole GPUs without a host's work, or why there are none."""
    spec = spec_of(Point(llm, weights, gpu, backend, tp, ep, 0, 0, 0, 0.0, 0.0, public=False))
    if source == "roofline":
        return StepTimer(spec, gpu_constants(gpu), tp=tp, host_overhead=0.0)
    plain = {} if weights in ("bf16", "nvfp4") or spec.experts else {"weight_dtype": weights}
    name, more = ORACLE_LLMS.get((llm, weights), (llm, plain))
    if spec.kv_bytes > 1 and llm == "llama-3.1-70b":
        more = {**more, "kv_cache_dtype": "bfloat16"}
    if spec.experts:
        more = {**more, "moe_tp_size": tp // ep, "moe_ep_size": ep}
    reason = ""
    for engine, special in operators(llm, weights, gpu, backend):
        theirs = {"backend": engine, "backend_version": VERSIONS[engine], **special}
        try:
            oracle = Oracle.of(
                name, gpu, tp, mixture=spec.experts is not None, more={**more, **theirs}
            )
            ask = lru_cache(1 << 16)(oracle.seconds)
            ask(1, 2048, 0, 8, 8192)
            slope = (ask(0, 0, 0, 64, 64 * 4096) - ask(0, 0, 0, 64, 64 * 1024)) / (64 * 3072)
        except BadInput as error:
            reason = reason or str(error)
            continue
        return OracleTimer(ask, max(0.0, slope))
    return reason
