"""A pool of GPUs that serves all LLMs, in simulated time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.memory import ENGINE_MEMORY, with_copied_heads
from scepsy.hardware.step_time import StepTimer
from scepsy.peers.aegaeon.batches import Decoding
from scepsy.peers.aegaeon.decode import DecodeMember
from scepsy.peers.aegaeon.prefill import PooledCall, PrefillMember
from scepsy.peers.aegaeon.weights import HOST_LINK_RATE, Weights, kv_bytes
from scepsy.peers.sizing import tp_degrees
from scepsy.planning.problem import Problem
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.cluster.replica import CallListener
from scepsy.sim.cluster.simulation import LlmReplicas, Simulation
from scepsy.sim.engine.batch import EngineSequence
from scepsy.sim.engine.decoders import ActiveSequence


@dataclass(frozen=True, slots=True)
class Pool:
    """TP groups of `tp` GPUs each: `prefill` groups compute prompts, `decode` groups decode.
    `link`: bytes per second between the host and one GPU.
    """

    tp: int
    prefill: int
    decode: int
    link: float = HOST_LINK_RATE

    def __str__(self) -> str:
        return f"pool of TP{self.tp}: {self.prefill} prefill, {self.decode} decode"


def pools(problem: Problem) -> tuple[Pool, ...] | Infeasible:
    """Every division into prefill and decode groups, at every TP degree at which all LLMs fit."""
    cluster = problem.cluster
    common = [set(tp_degrees(llm, cluster)) for llm in problem.needed_llms]
    found = [
        Pool(tp, prefill, members - prefill)
        for tp in sorted(set[int].intersection(*common))
        for members in (_members(cluster, tp),)
        for prefill in range(1, members)
    ]
    if not found:
        return Infeasible(
            "gpus", "a pool needs two groups of GPUs, each large enough for every LLM"
        )
    return tuple(found)


def _members(cluster: Cluster, tp: int) -> int:
    return sum(len(domain) // tp for node in cluster.nodes for domain in node.domains)


def serving(pool: Pool, llms: Sequence[LlmSpec], cluster: Cluster) -> Simulation:
    """A simulation of the pool: at time 0 its GPUs are empty and all weights are in host memory."""
    events = EventQueue()
    llms = [with_copied_heads(llm, pool.tp) for llm in llms]
    dispatch = _Dispatch(pool, llms, cluster, events)
    return Simulation(
        events,
        {llm.name: LlmReplicas((_Front(llm, dispatch),), dispatch.room(llm)) for llm in llms},
    )


@dataclass(slots=True)
class _Front:
    """The entrance for calls of one LLM: to the router it looks like a single replica."""

    llm: LlmSpec
    dispatch: _Dispatch
    replica: str = "pool"
    in_flight: int = 0
    capacity: float = 1.0
    healthy: bool = True
    busy: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    preemptions: int = 0

    def report_to(self, report: Callable[[int], None]) -> None: ...

    def submit(self, sequence: EngineSequence, listener: CallListener) -> None:
        self.dispatch.prompt(PooledCall(self.llm, sequence, listener))


class _Dispatch:
    """Chooses the member that serves a call, as the artifact's dispatchers do."""

    def __init__(
        self, pool: Pool, llms: Sequence[LlmSpec], cluster: Cluster, events: EventQueue
    ) -> None:
        gpu = gpu_constants(cluster.nodes[0].gpu_type)
        own = ENGINE_MEMORY["emulated"].for_itself(memory_share=1.0, gpu_memory=cluster.gpu_memory)
        self._memory = pool.tp * (cluster.gpu_memory - own)
        self._link = pool.tp * pool.link
        self._events = events

        timers = {llm.name: StepTimer(llm, gpu, tp=pool.tp) for llm in llms}

        def weights() -> Weights:
            return Weights(self._memory, self._link)

        self.prefill = [
            PrefillMember(weights(), timers, events, self._prompt_done) for _ in range(pool.prefill)
        ]
        self.decode = [
            DecodeMember(weights(), timers, events, self._decoded) for _ in range(pool.decode)
        ]

    def room(self, llm: LlmSpec) -> int:
        """Highest number of tokens of a call, prompt and answer together."""
        return min(llm.max_context, int((self._memory - llm.weight_bytes) // kv_bytes(llm, 1)) * 16)

    def prompt(self, call: PooledCall) -> None:
        """To the first group with a place, or to the member with the fewest waiting calls."""
        member = next((one for one in self.prefill if one.group_of(call.llm) is not None), None)
        (member or min(self.prefill, key=lambda one: (one.waiting, one.lacks(call.llm)))).add(call)

    def _prompt_done(self, call: PooledCall) -> None:
        now, sequence = self._events.now, call.sequence
        call.listener.started(now)
        if sequence.output_tokens <= 1:
            call.listener.ended(now, 0)
            return
        away = kv_bytes(call.llm, sequence.prompt_tokens) / self._link
        self._events.at(now + away, self._decode, call)

    def _decode(self, call: PooledCall) -> None:
        """To the first batch with a place, or to the member with the fewest batches."""
        known = call.sequence.prompt_tokens + 1
        one = Decoding(call, ActiveSequence(call.sequence, call.sequence.id, known))
        if not any(member.accepts(one) for member in self.decode):
            member = min(self.decode, key=lambda one: (len(one.batches), one.lacks(call.llm)))
            member.open(one)

    def _decoded(self, one: Decoding) -> None:
        one.call.listener.ended(self._events.now, 0)
