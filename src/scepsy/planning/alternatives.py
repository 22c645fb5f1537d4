"""Problems whose best allocations deserve a closer look beside the best of all (pure).

The pipeline's curves are least sure in three ways: which TP degree or part of a GPU suits an LLM,
whether few large replicas are better than many small ones, and where a replica saturates.
"""

from __future__ import annotations

from collections.abc import Collection

from scepsy.core.plan import Allocation, LlmAllocation
from scepsy.planning.problem import Problem, ReplicaTest

HIGHER_LOADS = (1.15, 1.3)
"""Multiples of the target rates. What is best at a little more load is best at the targets where
replicas saturate earlier than their curves say."""
LOWER_LOAD = 0.85
"""Multiple of the target rates, for replicas that saturate later than their curves say. Only where
all curves are estimates: a measured curve ends where the replica was seen to be saturated."""


def other_sizes(problem: Problem, best: Allocation) -> dict[str, Problem]:
    """By LLM: the problem in which its replicas must differ from those of `best` in their TP
    degree, or in whether they take a whole GPU.
    """
    return {part.llm: problem.excluding(part.llm, _of_size(part)) for part in best.llms}


def same_sizes(problem: Problem, allocation: Allocation, llms: Collection[str]) -> Problem:
    """The problem in which the replicas of these LLMs must have the TP degree of `allocation`, and
    take a whole GPU where they do there.
    """
    for part in allocation.llms:
        if part.llm in llms:
            problem = problem.excluding(part.llm, _not_of_size(part))
    return problem


def other_replica_counts(problem: Problem, best: Allocation) -> list[Problem]:
    """For the LLM in which each workflow spends most of its time: the problem in which it must
    have another number of replicas than in `best`.
    """
    flows = problem.pipeline.predict(best).workflows
    slowest = {max(flow.stages, key=lambda stage: stage.seconds).llm for flow in flows}
    return [
        problem.excluding(part.llm, _in_number(part)) for part in best.llms if part.llm in slowest
    ]


def other_loads(problem: Problem) -> list[Problem]:
    """The problem at somewhat higher, and where all curves are estimates lower, target rates."""
    estimated = all(
        curve.error > 0
        for response in problem.pipeline.responses.values()
        for curve in response.whole.values()
    )
    loads = (LOWER_LOAD, *HIGHER_LOADS) if estimated else HIGHER_LOADS
    return [problem.scaled(load) for load in loads]


def _of_size(mine: LlmAllocation) -> ReplicaTest:
    return lambda tp, gpu_share, _: (tp, gpu_share < 1) == (mine.tp, mine.gpu_share < 1)


def _not_of_size(mine: LlmAllocation) -> ReplicaTest:
    return lambda tp, gpu_share, _: (tp, gpu_share < 1) != (mine.tp, mine.gpu_share < 1)


def _in_number(mine: LlmAllocation) -> ReplicaTest:
    return lambda tp, gpu_share, replicas: replicas == mine.replicas
