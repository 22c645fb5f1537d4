"""Traced runs served by one engine in simulated time (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scepsy.core.trace import Call
from scepsy.curves.simulated_engine import EngineModel, ask_of
from scepsy.estimate.queueing.run_cycle import CycledRun, RunCycle
from scepsy.sim.cluster.simulation import ServedCall, Simulation


def serve(engine: EngineModel, cycle: RunCycle, runs: int, calls: int) -> list[ServedCall]:
    """At least `calls` calls, in the order in which they were sent, with `runs` concurrent runs:
    when a run ends, the next one begins.

    A burst is sent when the burst before it has ended and the gap is over. The engine serves calls
    of the oldest run first, as the gateway asks of engines. At first the cache is cold, and the
    runs are spread evenly over the cycle.
    """
    simulation = engine.simulation()
    for place in range(runs):
        entry = cycle.entry((place + 0.5) / runs)
        client = _Client(engine, simulation, cycle.runs, calls, entry.run, entry.burst)
        simulation.events.at(entry.wait, client.send, None)
    simulation.events.run()
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
