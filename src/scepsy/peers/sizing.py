"""What planners that size each LLM separately know: TP degrees that fit, load, latency (pure)."""

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
    """The TP degrees at which the LLM fits into memory, in rising order."""
    return tuple(tp for tp, floor in floors(llm, cluster).items() if floor <= 1 + 1e-9)


def smallest_each(problem: Problem) -> Mapping[str, int] | Infeasible:
    """By LLM: the smallest TP degree whose memory holds it. Infeasible if the cluster cannot hold
    one replica of each LLM on whole GPUs.
    """
    found: dict[str, int] = {}
    for llm in problem.needed_llms:
        degrees = tp_degrees(llm, problem.cluster)
        if not degrees:
            return Infeasible(
                "memory", f"{llm.name!r} does not fit into memory at any TP degree that it allows"
            )
        found[llm.name] = degrees[0]
    needed = sum(found.values())
    if needed > problem.cluster.gpus:
        return Infeasible(
            "gpus",
            f"one replica of each LLM on whole GPUs takes {needed} GPUs; the cluster has "
            f"{problem.cluster.gpus}",
        )
    return found


def load(problem: Problem, llm: LlmSpec, tp: int, gpu_share: float = 1.0) -> float:
    """Replicas of that size that the target rates would saturate; inf without a profile."""
    total = 0.0
    for flow in problem.pipeline.flows(llm.name):
        blend = problem.responses[llm.name, flow.target.workflow].at(tp, gpu_share)
        total += np.inf if blend is None else flow.rate / blend.max_throughput
    return total


def latency(problem: Problem, llm: LlmSpec, tp: int, replicas: int) -> float:
    """Weighted seconds that the LLM adds to the workflows with `replicas` replicas on whole GPUs;
    inf if they cannot carry the target rates.
    """
    return float(problem.pipeline.stage_costs(llm, tp, 1.0, np.array([replicas]))[0])


def whole(llm: str, tp: int, replicas: int) -> LlmAllocation:
    return LlmAllocation(llm=llm, tp=tp, gpu_share=1.0, memory_share=1.0, replicas=replicas)


def placed(parts: Iterable[LlmAllocation], cluster: Cluster) -> Placement | Infeasible:
    """Places the parts with our own placement: none of these systems publishes a better one."""
    return place(Allocation(llms=tuple(sorted(parts, key=lambda part: part.llm))), cluster)
