"""Traced runs served by one engine in simulated time (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Call
from scepsy.estimate.queueing.run_cycle import Circle, Lap
from scepsy.hardware.host_time import host_time
from scepsy.hardware.step_time import Timer
from scepsy.sim.cluster.event_queue import Agenda
from scepsy.sim.cluster.replica import SimulatedReplica
from scepsy.sim.cluster.simulation import Ask, LlmReplicas, ServedCall, Simulation
from scepsy.sim.engine.continuous_batching import SimulatedEngine
from scepsy.sim.workload.prefixes import Blocks


@dataclass(frozen=True, slots=True)
class EngineModel:
    """One replica of an LLM.

    Attributes:
        timer: its step times. kv_tokens: size of its KV cache.
        request_time: seconds of each call outside of steps (`HostTime.request`).
        blocks: by traced call, the prompt blocks that it shares with others.
    """

    llm: LlmSpec
    timer: Timer
    kv_tokens: int
    request_time: float
    blocks: Mapping[str, Blocks]

    def serve(self, circle: Circle, runs: int, calls: int) -> list[ServedCall]:
        """At least so many calls, in the order in which they were sent, with so many runs under way
        at any time: where one ends, another begins. A burst is sent when the one before has ended
        and the gap is over. Whose run began first is served first, as the gateway asks of engines.
        At first the cache is cold, and the runs are wherever they happen to be.
        """
        engine = SimulatedEngine(
            self.timer,
            kv_tokens=self.kv_tokens,
            max_sequences=self.llm.max_sequences,
            step_tokens=host_time(self.llm.engine).step_tokens,
        )
        agenda = Agenda()
        replica = SimulatedReplica("estimate", engine, agenda, request_time=self.request_time)
        group = LlmReplicas([replica], min(self.llm.max_context, self.kv_tokens))
        simulation = Simulation(agenda, {self.llm.name: group})
        for place in range(runs):
            lap, burst, wait = circle.start((place + 0.5) / runs)
            client = _Client(self, simulation, circle.laps, calls, lap, burst)
            agenda.at(wait, client.send, None)
        agenda.run()
        return simulation.calls


@dataclass(slots=True)
class _Client:
    """Makes one run after another, until there were `most` calls. Which lap it is at, and which
    burst; how many of its calls have not ended.
    """

    model: EngineModel
    simulation: Simulation
    laps: Sequence[Lap]
    most: int
    lap: int
    burst: int
    run: int = -1
    left: int = 0

    def send(self, _: None) -> None:
        if len(self.simulation.calls) >= self.most:
            return
        burst, agenda = self.laps[self.lap].chain[self.burst], self.simulation.agenda
        if self.run < 0:
            self.run = self.simulation.begin_run(burst.workflow)
        self.left = len(burst.calls)
        for call, offset in zip(burst.calls, burst.offsets, strict=True):
            agenda.at(agenda.now + offset, self._call, call)

    def _call(self, call: Call) -> None:
        ask = ask_of(call, self.model.llm)
        if ask.items == 1 and call.call in self.model.blocks:
            ask = ask._replace(blocks=self.model.blocks[call.call].of_run(self.run))
        self.simulation.call(self.run, ask, self._ended)

    def _ended(self, _: ServedCall) -> None:
        self.left -= 1
        if self.left:
            return
        self.burst += 1
        if self.burst == len(self.laps[self.lap].chain):
            self.lap, self.burst, self.run = (self.lap + 1) % len(self.laps), 0, -1
        agenda = self.simulation.agenda
        agenda.at(agenda.now + self.laps[self.lap].gaps[self.burst], self.send, None)


def ask_of(call: Call, llm: LlmSpec) -> Ask:
    """What a traced call asks of an engine; its lengths are known (`lengths.with_lengths`)."""
    prompt = max(1, call.prompt_tokens or 0)
    output = max(1, call.output_tokens or 0) if llm.kind == "generate" else 0
    items = min(max(1, call.items), prompt) if llm.kind != "generate" else 1
    return Ask(llm.name, prompt, output, items=items)


def longest(calls: Sequence[Call], llm: LlmSpec) -> int:
    """Tokens of the longest prompt with its answer."""
    asks = [ask_of(call, llm) for call in calls]
    return max(-(-ask.prompt_tokens // ask.items) + ask.output_tokens for ask in asks)
