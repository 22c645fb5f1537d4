"""One replica of an LLM in simulated time, and the calls that it serves (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Call
from scepsy.curves.rounds import Sample
from scepsy.hardware.host_time import host_time
from scepsy.hardware.step_time import Timer
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.cluster.replica import SimulatedReplica
from scepsy.sim.cluster.simulation import Ask, LlmReplicas, ServedCall, Simulation
from scepsy.sim.engine.continuous_batching import SimulatedEngine
from scepsy.sim.workload.prefixes import Blocks


@dataclass(frozen=True, slots=True)
class EngineModel:
    """One replica of an LLM.

    Attributes:
        timer: its step times.
        kv_tokens: size of its KV cache in tokens.
        request_time: seconds of each call outside of steps (`HostTime.request`).
        blocks: by traced call, the prompt blocks that it shares with other calls.
    """

    llm: LlmSpec
    timer: Timer
    kv_tokens: int
    request_time: float
    blocks: Mapping[str, Blocks]

    def replica(self, events: EventQueue, name: str = "simulated") -> SimulatedReplica:
        """A replica with an empty cache."""
        engine = SimulatedEngine(
            self.timer,
            kv_tokens=self.kv_tokens,
            max_sequences=self.llm.max_sequences,
            step_tokens=host_time(self.llm.engine).step_tokens,
        )
        return SimulatedReplica(name, engine, events, request_time=self.request_time)

    def simulation(self, replicas: int = 1) -> Simulation:
        """One or more replicas behind a gateway, which routes the calls and asks each replica to
        serve those of the oldest run first.
        """
        events = EventQueue()
        servers = [self.replica(events, f"{self.llm.name}-{one}") for one in range(replicas)]
        group = LlmReplicas(servers, min(self.llm.max_context, self.kv_tokens))
        return Simulation(events, {self.llm.name: group})


def ask_of(call: Call, llm: LlmSpec) -> Ask:
    """The simulated call for a traced call of known lengths (`lengths.with_lengths`)."""
    prompt = max(1, call.prompt_tokens or 0)
    output = max(1, call.output_tokens or 0) if llm.kind == "generate" else 0
    items = min(max(1, call.items), prompt) if llm.kind != "generate" else 1
    return Ask(llm.name, prompt, output, items=items)


def longest(calls: Sequence[Call], llm: LlmSpec) -> int:
    """Tokens of the longest prompt together with its answer."""
    asks = [ask_of(call, llm) for call in calls]
    return max(-(-ask.prompt_tokens // ask.items) + ask.output_tokens for ask in asks)


def sample_of(call: ServedCall) -> Sample:
    """A simulated call in the form of a replayed one. Its unit is its run."""
    return Sample(
        workflow=call.workflow,
        unit=call.run,
        sent=call.start,
        latency=call.latency,
        output_tokens=call.ask.output_tokens,
        prompt_tokens=call.ask.prompt_tokens,
        ttft=call.first_token - call.start if call.ask.output_tokens else None,
        cached_tokens=call.cached_tokens,
    )
