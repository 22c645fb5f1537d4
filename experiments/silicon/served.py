"""One point, simulated: the kernel, one replica, a closed loop of clients at the point's
concurrency; and where its seconds went.
"""

from __future__ import annotations

import random
from dataclasses import astuple, dataclass
from functools import partial
from statistics import fmean

import msgspec
from experiments.silicon.points import Point
from experiments.silicon.recipes import Recipe, recipe, whole_experts
from experiments.silicon.schedulers import NoEviction, PromptsFirst, Watched
from experiments.silicon.timers import Source, spec_of, timer_of

from scepsy.core.llm import LlmSpec
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.memory import BLOCK_TOKENS, ENGINE_MEMORY
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.cluster.replica import SimulatedReplica
from scepsy.sim.cluster.simulation import Ask, LlmReplicas, ServedCall, Simulation

ROUNDS = 10
"""Calls per client, as the public benchmark sends them."""
NO_LOAD = {
    **dict.fromkeys(("prompt_tokens", "output_tokens", "concurrency"), 0),
    **dict.fromkeys(("ttft", "tpot"), 0.0),
    "public": True,
    "measured": "",
}
"""What of a point says nothing of how its engine was set up."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Mean over calls of what a latency is made of: seconds of steps, their number, and the tokens
    that were generated in them, for whomever. Steps `scale` times as long, with `host` more for
    each and `token` more for each token, make it `scale * seconds + host * steps + token * tokens`:
    in a closed loop without thinking, what is in which step does not depend on how long steps take.
    """

    seconds: float
    steps: float
    tokens: float

    def over(self, count: int) -> Parts:
        return Parts(self.seconds / count, self.steps / count, self.tokens / count)


@dataclass(frozen=True, slots=True)
class Served:
    """To the first token and after it for each token; and how often somebody lost its blocks."""

    ttft: Parts
    tpot: Parts
    median_ttft: float
    preemptions: int


def served(point: Point, source: Source) -> Served | str:
    """What the point's load meets, or why it cannot be served. Steps have no overhead of a host."""
    point = msgspec.structs.replace(point, ep=whole_experts(point))
    how = recipe(point)
    llm = spec_of(point)
    setup = msgspec.structs.replace(point, **NO_LOAD)
    timer = timer_of(setup, llm.kv_bytes, source)
    if isinstance(timer, str):
        return timer
    kv = kv_tokens(llm, point, how)
    if kv < point.prompt_tokens + point.output_tokens + 16:
        return "its weights leave no room for one call"
    events = EventQueue()
    if point.backend == "sglang":
        engine = PromptsFirst(events, timer, kv, how.step_tokens)
    elif point.backend == "trtllm":
        engine = NoEviction(events, timer, kv, how.step_tokens, how.wait_steps)
    else:
        engine = Watched(events, timer, kv, how.step_tokens)
    return _serve(point, engine, kv, events, how.lengths)


def gpu_memory(gpu: str) -> float:
    """Bytes; of the B300, whose other constants we lack, those that `nvidia-smi` reports."""
    return 288.4e9 if gpu == "b300" else gpu_constants(gpu).memory


def kv_tokens(llm: LlmSpec, point: Point, how: Recipe) -> int:
    """Tokens of KV cache, in whole blocks."""
    memory = gpu_memory(point.gpu)
    own = ENGINE_MEMORY["emulated"].for_itself(memory_share=1.0, gpu_memory=memory)
    if how.of_free:
        room = point.tp * (memory - own) - llm.weight_bytes
        room *= how.memory_share
    else:
        room = point.tp * (how.memory_share * memory - own) - llm.weight_bytes
    return int(room / llm.kv_bytes_per_token / BLOCK_TOKENS) * BLOCK_TOKENS


def _serve(
    point: Point, engine: Watched, kv: int, events: EventQueue, lengths: tuple[float, float]
) -> Served:
    group = LlmReplicas([SimulatedReplica("only", engine, events)], kv)
    simulation = Simulation(events, {point.llm: group})
    rng = random.Random(0)
    left = ROUNDS * point.concurrency
    run = simulation.begin_run("clients")

    def send(_ended: ServedCall | None) -> None:
        nonlocal left
        if left:
            left -= 1
            prompt, output = (
                round(nominal * rng.uniform(*lengths))
                for nominal in (point.prompt_tokens, point.output_tokens)
            )
            simulation.call(run, Ask(point.llm, prompt, max(2, output)), send)

    for _ in range(point.concurrency):
        events.at(0.0, partial(send), None)
    events.run()
    first = [_parts(engine, c.start, c.first_token) for c in simulation.calls]
    rest = [_parts(engine, c.first_token, c.end) for c in simulation.calls]
    more = [c.ask.output_tokens - 1 for c in simulation.calls]
    return Served(
        ttft=_mean(first),
        tpot=_mean([p.over(n) for p, n in zip(rest, more, strict=True)]),
        median_ttft=sorted(p.seconds for p in first)[len(first) // 2],
        preemptions=engine.counters.preemptions,
    )


def _parts(engine: Watched, begin: float, end: float) -> Parts:
    steps, tokens = engine.done_by(begin)
    more_steps, more_tokens = engine.done_by(end)
    return Parts(end - begin, more_steps - steps, more_tokens - tokens)


def _mean(parts: list[Parts]) -> Parts:
    return Parts(*map(fmean, zip(*map(astuple, parts), strict=True)))
