"""Traced bursts served by one engine in simulated time (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Call
from scepsy.profiler.bursts import Burst
from scepsy.sim.agenda import Agenda
from scepsy.sim.engine import SimulatedEngine
from scepsy.sim.prefixes import Blocks
from scepsy.sim.replica import SimulatedReplica
from scepsy.sim.simulation import Ask, LlmReplicas, ServedCall, Simulation
from scepsy.sim.timing import Timer

APART = 1e4
"""Seconds between bursts that shall not meet."""


@dataclass(frozen=True, slots=True)
class EngineModel:
    """One replica: its step times, its KV cache in tokens, the tokens of its largest step."""

    llm: LlmSpec
    timer: Timer
    kv_tokens: int
    step_tokens: int = 8192

    def serve(
        self, arrivals: Iterable[tuple[float, Burst, int]], blocks: Mapping[str, Blocks]
    ) -> list[ServedCall]:
        """The calls of bursts that arrive at rising times, with the number of the pass over their
        run, in order of arrival. The cache is cold at first.
        """
        agenda = Agenda()
        engine = SimulatedEngine(
            self.timer,
            kv_tokens=self.kv_tokens,
            max_sequences=self.llm.max_sequences,
            step_tokens=self.step_tokens,
        )
        replica = SimulatedReplica("estimate", engine, agenda)
        group = LlmReplicas([replica], min(self.llm.max_context, self.kv_tokens))
        simulation = Simulation(agenda, {self.llm.name: group})
        runs: dict[tuple[str, str, int], int] = {}
        for time, burst, number in arrivals:
            key = burst.workflow, burst.run, number
            if key not in runs:
                runs[key] = simulation.begin_run(burst.workflow)
            for call, offset in zip(burst.calls, burst.offsets, strict=True):
                ask = ask_of(call, self.llm)
                if ask.items == 1 and call.call in blocks:
                    ask = ask._replace(blocks=blocks[call.call].of_run(runs[key]))
                agenda.at(time + offset, _Arrival(simulation, runs[key]).send, ask)
        agenda.run()
        return simulation.calls


@dataclass(frozen=True, slots=True)
class _Arrival:
    simulation: Simulation
    run: int

    def send(self, ask: Ask) -> None:
        self.simulation.call(self.run, ask, _nothing)


def _nothing(_call: ServedCall) -> None: ...


def ask_of(call: Call, llm: LlmSpec) -> Ask:
    """What a traced call asks of an engine, which the profiler does not rank; its lengths are known
    (`lengths.with_lengths`).
    """
    prompt = max(1, call.prompt_tokens or 0)
    output = max(1, call.output_tokens or 0) if llm.kind == "generate" else 0
    items = min(max(1, call.items), prompt) if llm.kind != "generate" else 1
    return Ask(llm.name, prompt, output, items=items, priority=0)


def longest(calls: Sequence[Call], llm: LlmSpec) -> int:
    """Tokens of the longest prompt with its answer."""
    asks = [ask_of(call, llm) for call in calls]
    return max(-(-ask.prompt_tokens // ask.items) + ask.output_tokens for ask in asks)
