"""Traced runs served by one engine in simulated time (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Call
from scepsy.estimate.queueing.run_cycle import CycledRun, RunCycle
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

    def serve(self, cycle: RunCycle, runs: int, calls: int) -> list[ServedCall]:
        """At least `calls` calls, in the order in which they were sent, with `runs` concurrent
        runs: when a run ends, the next one begins.

        A burst is sent when the burst before it has ended and the gap is over. The engine serves
        calls of the oldest run first, as the gateway asks of engines. At first the cache is cold,
        and the runs are spread evenly over the cycle.
        """
        engine = SimulatedEngine(
            self.timer,
            kv_tokens=self.kv_tokens,
            max_sequences=self.llm.max_sequences,
            step_tokens=host_time(self.llm.engine).step_tokens,
        )
        events = EventQueue()
        replica = SimulatedReplica("estimate", engine, events, request_time=self.request_time)
        group = LlmReplicas([replica], min(self.llm.max_context, self.kv_tokens))
        simulation = Simulation(events, {self.llm.name: group})
        for place in range(runs):
            entry = cycle.entry((place + 0.5) / runs)
            client = _Client(self, simulation, cycle.runs, calls, entry.run, entry.burst)
            events.at(entry.wait, client.send, None)
        events.run()
        return simulation.calls


@dataclass(slots=True)
class _Client:
    """Makes one run of the cycle after another, until all clients have sent `calls_max` calls.

    `place` and `burst`: the run and the burst that come next. `run`: the run's number in the
    simulation, -1 before it begins. `open_calls`: calls of the burst that have not ended.
    """

    model: EngineModel
    simulation: Simulation
    runs: Sequence[CycledRun]
    calls_max: int
    place: int
    burst: int
    run: int = -1
    open_calls: int = 0

    def send(self, _: None) -> None:
        if len(self.simulation.calls) >= self.calls_max:
            return
        burst, events = self.runs[self.place].chain[self.burst], self.simulation.events
        if self.run < 0:
            self.run = self.simulation.begin_run(burst.workflow)
        self.open_calls = len(burst.calls)
        for call, offset in zip(burst.calls, burst.offsets, strict=True):
            events.at(events.now + offset, self._call, call)

    def _call(self, call: Call) -> None:
        ask = ask_of(call, self.model.llm)
        if ask.items == 1 and call.call in self.model.blocks:
            ask = ask._replace(blocks=self.model.blocks[call.call].of_run(self.run))
        self.simulation.call(self.run, ask, self._ended)

    def _ended(self, _: ServedCall) -> None:
        self.open_calls -= 1
        if self.open_calls:
            return
        self.burst += 1
        if self.burst == len(self.runs[self.place].chain):
            self.place, self.burst, self.run = (self.place + 1) % len(self.runs), 0, -1
        events = self.simulation.events
        events.at(events.now + self.runs[self.place].gaps[self.burst], self.send, None)


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
