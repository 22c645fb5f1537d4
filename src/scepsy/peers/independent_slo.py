"""Each LLM sized separately to a latency goal, under one budget of GPUs.

Source: what NVIDIA Dynamo's planner, llm-d's autoscaler and AIBrix's optimizer each do for one LLM
(from profiled latency against load, the fewest GPUs that meet the goal), and Dynamo's GlobalPlanner
for the budget. Our implementation of that policy. None of them knows workflows, so every LLM has
the same goal: its calls take at most k times as long as on an idle replica of its best TP degree.

What it is given: the smallest k that the budget allows, our profiles, and every TP degree and
replica count on whole GPUs.
"""

from __future__ import annotations

from math import inf

import numpy as np

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, LlmAllocation, Placement
from scepsy.peers.sizing import placed, smallest_each, tp_degrees, whole
from scepsy.planning.problem import Problem
from scepsy.search.options import Floats

Sized = list[tuple[float, LlmAllocation]]
"""(latency over that of an idle call, allocation), by rising GPUs and falling latency."""


def independent_slo(problem: Problem) -> Placement | Infeasible:
    """The allocation for the smallest common k that fits the cluster. Infeasible if none does."""
    smallest = smallest_each(problem)
    if isinstance(smallest, Infeasible):
        return smallest
    sizes = [_sizes(problem, llm) for llm in problem.needed_llms]
    for llm, of in zip(problem.needed_llms, sizes, strict=True):
        if not of:
            return Infeasible(
                "throughput", f"no number of replicas of {llm.name!r} carries its load"
            )
    refusal = Infeasible(
        "gpus", f"no common latency goal can be met on {problem.cluster.gpus} GPUs"
    )
    for goal in sorted({times for of in sizes for times, _ in of}):
        parts = [_least(of, goal) for of in sizes]
        chosen = [part for part in parts if part is not None]
        if len(chosen) < len(parts) or sum(part.gpus for part in chosen) > problem.cluster.gpus:
            continue
        placement = placed(chosen, problem.cluster)
        if not isinstance(placement, Infeasible):
            return placement
        refusal = placement
    return refusal


def _least(sizes: Sized, goal: float) -> LlmAllocation | None:
    """The allocation with the fewest GPUs that meets the goal."""
    return next((part for times, part in sizes if times <= goal), None)


def _sizes(problem: Problem, llm: LlmSpec) -> Sized:
    """The Pareto front of GPUs against latency: each is faster than all with fewer GPUs."""
    found: list[tuple[float, float, LlmAllocation]] = []
    idle = inf
    for tp in tp_degrees(llm, problem.cluster):
        counts = np.arange(1, problem.cluster.gpus // tp + 1, dtype=np.int64)
        costs: Floats = problem.pipeline.stage_costs(llm, tp, 1.0, counts)
        idle = min(idle, float(_idle(problem, llm, tp)))
        found += [
            (tp * int(count), float(cost), whole(llm.name, tp, int(count)))
            for count, cost in zip(counts, costs, strict=True)
            if np.isfinite(cost)
        ]
    kept: Sized = []
    least = inf
    for _, cost, part in sorted(found, key=lambda one: (one[0], one[1])):
        if cost < least:
            least = cost
            kept.append((cost / idle, part))
    return kept


def _idle(problem: Problem, llm: LlmSpec, tp: int) -> float:
    """Weighted seconds of the LLM's calls on idle replicas: a billion of them have no load."""
    return float(problem.pipeline.stage_costs(llm, tp, 1.0, np.array([10**9]))[0])
