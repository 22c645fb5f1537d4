"""What a planner that looks at one LLM at a time knows of it (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Infeasible, LlmAllocation, Placement
from scepsy.place import place
from scepsy.planning.problem import Problem
from scepsy.search import floors

Strategy = Callable[[Problem], Placement | Infeasible]


def tp_degrees(llm: LlmSpec, cluster: Cluster) -> tuple[int, ...]:
    """Those at which the LLM fits, rising."""
    return tuple(tp for tp, floor in floors(llm, cluster).items() if floor <= 1 + 1e-9)


def smallest_each(problem: Problem) -> Mapping[str, int] | Infeasible:
    """By LLM: the smallest TP degree that holds it. Infeasible where one replica of each on whole
    GPUs is more than there are.
    """
    found: dict[str, int] = {}
    for llm in problem.needed_llms:
        degrees = tp_degrees(llm, problem.cluster)
        if not degrees:
            return Infeasible("memory", f"{llm.name!r} fits at no TP degree that is open to it")
        found[llm.name] = degrees[0]
    needed = sum(found.values())
    if needed > problem.cluster.gpus:
        return Infeasible(
            "gpus",
            f"one replica of each LLM on whole GPUs takes {needed}; there are "
            f"{problem.cluster.gpus}",
        )
    return found


def load(problem: Problem, llm: LlmSpec, tp: int, gpu_share: float = 1.0) -> float:
    """How many replicas of that size the targets would saturate; inf where none was profiled."""
    total = 0.0
    for flow in problem.pipeline.flows(llm.name):
        blend = problem.responses[llm.name, flow.target.workflow].at(tp, gpu_share)
        total += np.inf if blend is None else flow.rate / blend.max_throughput
    return total


def latency(problem: Problem, llm: LlmSpec, tp: int, replicas: int) -> float:
    """Weighted seconds that so many replicas on whole GPUs add to the workflows; inf where they
    cannot carry the targets.
    """
    return float(problem.pipeline.stage_costs(llm, tp, 1.0, np.array([replicas]))[0])


def whole(llm: str, tp: int, replicas: int) -> LlmAllocation:
    return LlmAllocation(llm=llm, tp=tp, gpu_share=1.0, memory_share=1.0, replicas=replicas)


def placed(parts: Iterable[LlmAllocation], cluster: Cluster) -> Placement | Infeasible:
    """The parts where our own placement puts them: none of these systems has a better one."""
    return place(Allocation(llms=tuple(sorted(parts, key=lambda part: part.llm))), cluster)
