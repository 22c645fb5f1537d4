"""Each LLM sized by itself to a latency goal, under one budget of GPUs.

Source: what NVIDIA Dynamo's planner, llm-d's autoscaler and AIBrix's optimizer do for one LLM each
(profiled latency against load, the fewest GPUs that meet the goal), and Dynamo's GlobalPlanner for
the budget. Our implementation of that policy. None of them knows workflows, so every LLM has the
same goal: its calls take at most k times as long as an idle call of it at its best TP degree.

What it is given: the tightest k that the budget allows, the same profiles as ours, and every TP
degree and count of replicas on whole GPUs.
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
"""(how many times an idle call's latency, what gives it), by rising GPUs and falling latency."""


def independent_slo(problem: Problem) -> Placement | Infeasible:
    """The tightest common goal whose sizes fit together. Infeasible where not even the loosest
    does.
    """
    smallest = smallest_each(problem)
    if isinstance(smallest, Infeasible):
        return smallest
    sizes = [_sizes(problem, llm) for llm in problem.needed_llms]
    for llm, of in zip(problem.needed_llms, sizes, strict=True):
        if not of:
            return Infeasible("throughput", f"no size of {llm.name!r} carries its load")
    refusal = Infeasible("gpus", f"no common goal fits on {problem.cluster.gpus} GPUs")
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
    """The fewest GPUs that meet a goal."""
    return next((part for times, part in sizes if times <= goal), None)


def _sizes(problem: Problem, llm: LlmSpec) -> Sized:
    """Those sizes than which no smaller one is as fast."""
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
    """Weighted seconds of the LLM's calls on an idle cluster."""
    return float(problem.pipeline.stage_costs(llm, tp, 1.0, np.array([10**9]))[0])
