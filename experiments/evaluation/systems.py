"""The systems that are compared: a strategy, and how calls are routed on what it places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from evaluation.deployed import Deployed
from evaluation.pooled import best_pool
from evaluation.problems import traces
from evaluation.workflows import CASES
from scepsy.core.plan import Infeasible, Placement
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.step_time import StepTimer
from scepsy.peers import ayo, user_specified
from scepsy.peers.alpaserve import alpaserve
from scepsy.peers.compass import Compass
from scepsy.peers.hexgen_flow import HexgenFlow
from scepsy.peers.hpa import hpa
from scepsy.peers.independent_slo import independent_slo
from scepsy.peers.muxserve import muxserve, without_parts_of_groups
from scepsy.peers.sizing import tp_degrees
from scepsy.peers.work import Costs, costs_of
from scepsy.planning.decision import Decision
from scepsy.planning.planner import decide
from scepsy.planning.problem import Problem
from scepsy.planning.simulation import SimulationOptions
from scepsy.sim.cluster.simulation import Policy

BACKING_OFF = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Who finds no plan for a rate gets the one for the next lower rate that has one."""
SLACK = 3.0
"""HexGen-Flow's deadline: so many times a run's traced latency."""


def ours(problem: Problem) -> Placement | Infeasible:
    """As `scepsy plan` decides: the best few by the pipeline, simulated with the traced runs."""
    decision = decided(problem)
    return decision if isinstance(decision, Infeasible) else decision.entry.placement


def of_parts(problem: Problem) -> Placement | Infeasible:
    """The same, and an LLM may get a part of each GPU of a TP group, as MuxServe gives it."""
    return ours(replace(problem, share_groups=True))


def decided(problem: Problem) -> Decision | Infeasible:
    """Kept in memory: some systems share our plans."""
    rates = tuple((target.workflow, target.rate) for target in problem.targets)
    key = rates, problem.cluster, problem.share_groups
    if key not in _DECIDED:
        names = {workflow for workflow, _ in rates}
        case = next(name for name, workflows in CASES.items() if set(workflows) == names)
        known = traces(case, problem.cluster.nodes[0].gpu_type, problem.cluster.gpus)
        _DECIDED[key] = decide(problem, known, SimulationOptions())
    return _DECIDED[key]


_DECIDED: dict[object, Decision | Infeasible] = {}


@dataclass(frozen=True, slots=True)
class System:
    name: str
    strategy: Callable[[Problem], Deployed | Infeasible]
    policy: Callable[[Problem], Policy | None] = lambda _: None


def _costs(problem: Problem) -> Mapping[str, Costs]:
    gpu = gpu_constants(problem.cluster.nodes[0].gpu_type)
    return {
        llm.name: costs_of(StepTimer(llm, gpu, tp=tp_degrees(llm, problem.cluster)[0]))
        for llm in problem.needed_llms
    }


def _hexgen(problem: Problem) -> HexgenFlow:
    costs = _costs(problem)
    work = {
        demand.workflow: sum(
            llm.calls
            * (
                costs[llm.llm].prompt_token * (llm.prompt_tokens or 0.0)
                + costs[llm.llm].output_token * (llm.output_tokens or 0.0)
            )
            for llm in demand.llms
        )
        for demand in problem.demands
    }
    deadline = {demand.workflow: SLACK * demand.latency.mean for demand in problem.demands}
    return HexgenFlow(costs, work, deadline)


def _compass(problem: Problem) -> Compass:
    return Compass(_costs(problem))


OURS = System("Scepsy", ours)
SYSTEMS = (
    OURS,
    System("Scepsy, parts of groups", of_parts),
    System("HPA", hpa),
    System("user-specified, best", user_specified.best),
    System("user-specified, median", user_specified.median),
    System("Aegaeon", best_pool),
    System("Ayo", ayo.ayo, lambda _: ayo.TopologyAware()),
    System("independent sizing", independent_slo),
    System("MuxServe", muxserve),
    System("MuxServe, whole groups", without_parts_of_groups),
    System("AlpaServe", alpaserve),
    System("HexGen-Flow on HPA", hpa, _hexgen),
    System("Compass on HPA", hpa, _compass),
    System("Scepsy + HexGen-Flow", ours, _hexgen),
    System("Scepsy + Compass", ours, _compass),
)


def placement_at(system: System, problem: Problem, scale: float) -> Deployed | Infeasible:
    """What the system would run at that scale of the rates."""
    answer: Deployed | Infeasible = Infeasible("none", "")
    for less in BACKING_OFF:
        answer = system.strategy(problem.scaled(scale * less))
        if not isinstance(answer, Infeasible):
            return answer
    return answer
