"""The slowdown of engines by others on their GPU, which depends on the placement (pure).

Search assumes a slowdown for each LLM, placement shows the true one, and the next search assumes
that: a fixed-point iteration. The assumed slowdown only ever rises, so it ends, on the safe side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scepsy.core.plan import Allocation, Infeasible, Placement
from scepsy.hardware.gpus import known_gpu
from scepsy.planning.problem import Problem
from scepsy.predict import slowdown_by_llm
from scepsy.search import Choice

ITERATIONS_MAX = 4
"""Times that the assumed slowdown is raised before the iteration is given up."""
SLOWDOWN_TOLERANCE = 0.01
"""Relative amount by which calls may be slower than was assumed."""


@dataclass(frozen=True, slots=True)
class Iteration:
    """The problem with the slowdown that was assumed, and what was found under it."""

    problem: Problem
    outcome: Choice | Infeasible


@dataclass(frozen=True, slots=True)
class Iterations:
    """The iterations in their order. `converged`: no call of the last is slower than assumed."""

    steps: tuple[Iteration, ...]
    converged: bool

    @property
    def problem(self) -> Problem:
        """The problem as the last iteration assumed it."""
        return self.steps[-1].problem

    @property
    def outcome(self) -> Choice | Infeasible:
        """What the last iteration found."""
        return self.steps[-1].outcome

    @property
    def refusal(self) -> Infeasible | None:
        """Why the last iteration found nothing, where it did not."""
        return self.outcome if isinstance(self.outcome, Infeasible) else None

    @property
    def feasible(self) -> list[tuple[Problem, Choice]]:
        """The iterations that found an allocation."""
        return [
            (step.problem, step.outcome) for step in self.steps if isinstance(step.outcome, Choice)
        ]


def slowdowns(problem: Problem, allocation: Allocation, placement: Placement) -> dict[str, float]:
    """By LLM on parts of GPUs: how many times as long a call takes as without neighbours, at the
    latencies that `problem` predicts. Empty where the GPU type is not known.
    """
    gpu = known_gpu(problem.cluster.nodes[0].gpu_type)
    if gpu is None:
        return {}
    return slowdown_by_llm(problem.pipeline, allocation, placement, problem.llms, gpu)


def with_more_slowdown(
    problem: Problem, allocation: Allocation, placement: Placement
) -> Problem | None:
    """The problem with the slowdown of that placement assumed, where it is more than was assumed;
    None where it is not.
    """
    found, known = slowdowns(problem, allocation, placement), problem.pipeline.slowdowns
    if all(cost <= (1 + SLOWDOWN_TOLERANCE) * known.get(llm, 1.0) for llm, cost in found.items()):
        return None
    risen = {llm: max(cost, known.get(llm, 1.0)) for llm, cost in found.items()}
    return replace(problem, pipeline=replace(problem.pipeline, slowdowns={**known, **risen}))


def with_slowdown_of(
    problem: Problem, allocation: Allocation, placement: Placement
) -> tuple[Problem, bool]:
    """The problem with the slowdown of that placement assumed and no other, and whether the
    iteration converged: slower calls overlap more, which slows them further.
    """
    if problem.pipeline.slowdowns:
        problem = replace(problem, pipeline=replace(problem.pipeline, slowdowns={}))
    for _ in range(ITERATIONS_MAX):
        slower = with_more_slowdown(problem, allocation, placement)
        if slower is None:
            return problem, True
        problem = slower
    return problem, with_more_slowdown(problem, allocation, placement) is None
