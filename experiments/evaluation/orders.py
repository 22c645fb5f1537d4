"""Other orders of the calls that wait at a replica than the gateway's, to hold against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.step_time import StepTimer
from scepsy.peers.sizing import tp_degrees
from scepsy.peers.work import CostsOf, costs_of
from scepsy.planning.problem import Problem
from scepsy.routing.choose import choose
from scepsy.sim.cluster.simulation import Ask, ServedCall, Server


def first_come(_: Problem) -> FirstCome:
    return FirstCome()


def equal_parts(problem: Problem) -> EqualParts:
    """Calls weigh what they cost at an LLM's smallest TP degree."""
    gpu, machines = gpu_constants(problem.cluster.nodes[0].gpu_type), problem.cluster
    return EqualParts(
        {
            llm.name: costs_of(StepTimer(llm, gpu, tp=tp_degrees(llm, machines)[0]))
            for llm in problem.needed_llms
        }
    )


@dataclass(slots=True)
class FirstCome:
    """Calls in the order in which they come, on the replica that the gateway would choose."""

    turn: int = 0

    def choose(
        self, workflow: str, run: int, ask: Ask, replicas: Sequence[Server], now: float
    ) -> tuple[int, int]:
        self.turn += 1
        return choose(replicas, affinity=str(run), turn=self.turn) or 0, 0

    def ended(self, call: ServedCall) -> None: ...


@dataclass(slots=True)
class EqualParts:
    """Workflows that have calls waiting get equal parts of an LLM's time: a call's place is where
    its workflow's work begins to exceed that of the others (start-time fair queueing, Goyal et al.,
    SIGCOMM 1996). `costs` are seconds of calls; nobody's work counts from before it came.
    """

    costs: CostsOf
    turn: int = 0
    _after: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    _now: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _starts: dict[int, float] = field(default_factory=dict[int, float])

    def choose(
        self, workflow: str, run: int, ask: Ask, replicas: Sequence[Server], now: float
    ) -> tuple[int, int]:
        self.turn += 1
        start = max(self._now[ask.llm], self._after[ask.llm, workflow])
        self._after[ask.llm, workflow] = start + self.costs[ask.llm].of(ask)
        self._starts[id(ask)] = start
        return choose(replicas, affinity=str(run), turn=self.turn) or 0, round(start * 1e6)

    def ended(self, call: ServedCall) -> None:
        start = self._starts.pop(id(call.ask))
        self._now[call.ask.llm] = max(self._now[call.ask.llm], start)
