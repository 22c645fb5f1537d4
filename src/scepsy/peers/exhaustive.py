"""The bound for small problems: tries every GPU share x TP degree x replica count of every LLM."""

from __future__ import annotations

from itertools import product
from math import isfinite, prod

import numpy as np

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Infeasible, LlmAllocation, Placement
from scepsy.place import place
from scepsy.planning.problem import Problem
from scepsy.search.space import grain_of, room, shapes

ALLOCATIONS_MAX = 2_000_000
"""Above this number of allocations the problem is refused: trying them takes minutes."""


def exhaustive(problem: Problem) -> Placement | Infeasible:
    """The placeable allocation of least predicted latency. Infeasible("size") above
    `ALLOCATIONS_MAX` allocations.
    """
    options = [_options(problem, llm) for llm in problem.needed_llms]
    count = prod(len(of) for of in options)
    if count > ALLOCATIONS_MAX:
        return Infeasible("size", f"{count} allocations; at most {ALLOCATIONS_MAX} are tried")
    most = problem.cluster.gpus if problem.gpus is None else problem.gpus
    gpus = most + 1e-9
    fitting = [
        (sum(cost for cost, _ in chosen), tuple(part for _, part in chosen))
        for chosen in product(*options)
        if sum(part.gpus for _, part in chosen) <= gpus
    ]
    for _, parts in sorted(fitting, key=lambda one: one[0]):
        placement = place(Allocation(llms=parts), problem.cluster, gpus=problem.gpus)
        if not isinstance(placement, Infeasible):
            return placement
    return Infeasible("gpus", f"none of {count} allocations can be placed")


def _options(problem: Problem, llm: LlmSpec) -> list[tuple[float, LlmAllocation]]:
    grain = grain_of(problem.share_step, problem.cluster)
    found: list[tuple[float, LlmAllocation]] = []
    for shape in shapes(llm, problem.cluster, grain)[0]:
        counts = np.arange(1, room(problem.cluster, shape) + 1, dtype=np.int64)
        costs = problem.pipeline.stage_costs(llm, shape.tp, shape.gpu_share, counts)
        found += [
            (
                float(cost),
                LlmAllocation(
                    llm=llm.name,
                    tp=shape.tp,
                    gpu_share=shape.gpu_share,
                    memory_share=shape.memory_share,
                    replicas=int(count),
                ),
            )
            for count, cost in zip(counts, costs, strict=True)
            if isfinite(cost)
        ]
    return found
