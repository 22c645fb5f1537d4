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
from scepsy.peers.aegaeon.weights import LINK, Weights, kv_bytes
from scepsy.peers.sizing import tp_degrees
from scepsy.planning.problem import Problem
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.cluster.replica import CallListener
from scepsy.sim.cluster.simulation import LlmReplicas, Simulation
from scepsy.sim.engine.batch import EngineSequence
from scepsy.sim.engine.decoders import ActiveSequence


@dataclass(frozen=True, slots=True)
class Pool:
    """TP groups of `tp` GPUs each: so many compute prompts, so many decode. `link` is the bytes per
    second between host and a GPU.
    """

    tp: int
    prefill: int
    decode: int
    link: float = LINK

    def __str__(self) -> str:
        return f"pool of TP{self.tp}: {self.prefill} prefill, {self.decode} decode"


def pools(problem: Problem) -> tuple[Pool, ...] | Infeasible:
    """Every split of the cluster at every TP degree at which each LLM fits."""
    cluster = problem.cluster
    common = [set(tp_degrees(llm, cluster)) for llm in problem.needed_llms]
    found = [
        Pool(tp, prefill, members - prefill)
        for tp in sorted(set[int].intersection(*common))
        for members in (_members(cluster, tp),)
        for prefill in range(1, members)
    ]
    if not found:
        return Infeasible("gpus", "a pool takes two groups of GPUs that hold each of the LLMs")
    return tuple(found)


def _members(cluster: Cluster, tp: int) -> int:
    return sum(len(domain) // tp for node in cluster.nodes for domain in node.domains)


def serving(pool: Pool, llms: Sequence[LlmSpec], cluster: Cluster) -> Simulation:
    """The pool with empty GPUs at time 0, and every LLM in host memory."""
    events = EventQueue()
    llms = [with_copied_heads(llm, pool.tp) for llm in llms]
    dispatch = _Dispatch(pool, llms, cluster, events)
    return Simulation(
        events,
        {llm.name: LlmReplicas((_Front(llm, dispatch),), dispatch.room(llm)) for llm in llms},
    )


@dataclass(slots=True)
class _Front:
    """Where calls of one LLM enter the pool, which knows its load itself."""

    llm: LlmSpec
    dispatch: _Dispatch
    replica: str = "pool"
    in_flight: int = 0
    capacity: float = 1.0
    healthy: bool = True
    busy: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    preemptions: int = 0

    def report_to(self, told: Callable[[int], None]) -> None: ...

    def submit(self, sequence: EngineSequence, listener: CallListener) -> None:
        self.dispatch.prompt(PooledCall(self.llm, sequence, listener))


class _Dispatch:
    """Which member takes a call: the artifact's dispatchers."""

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
        """Tokens that a call may have at most."""
        return min(llm.max_context, int((self._memory - llm.weight_bytes) // kv_bytes(llm, 1)) * 16)

    def prompt(self, call: PooledCall) -> None:
        """To the first group with a place, else to whom the fewest calls wait for."""
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
        """To the first batch with a place, else to whom has the fewest batches."""
        known = call.sequence.prompt_tokens + 1
        one = Decoding(call, ActiveSequence(call.sequence, call.sequence.id, known))
        if not any(member.accepts(one) for member in self.decode):
            member = min(self.decode, key=lambda one: (len(one.batches), one.lacks(call.llm)))
            member.open(one)

    def _decoded(self, one: Decoding) -> None:
        one.call.listener.ended(self._events.now, 0)
