"""A deployment under load -> what it did."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from evaluation.deployed import Deployed, simulation_of
from evaluation.workflows import programs
from scepsy.problem import Problem
from scepsy.sim.arrivals import arrivals
from scepsy.sim.load import Load, simulate
from scepsy.sim.measure import workflow_results
from scepsy.sim.result import WorkflowResult
from scepsy.sim.simulation import Policy

SEED = 2
"""Of the runs that are measured; others are traced."""


@dataclass(frozen=True, slots=True)
class Offered:
    """How long runs arrive, in seconds, at which CV of their gaps."""

    seconds: float
    cv: float = 1.0
    seed: int = SEED


def measured(
    problem: Problem,
    scale: float,
    deployed: Deployed,
    policy: Policy | None,
    offered: Offered,
) -> Mapping[str, WorkflowResult]:
    """By workflow: what `deployed` did with `scale` times the rates. All systems get the same
    runs at the same times.
    """
    simulation = simulation_of(deployed, problem)
    simulation.policy = policy
    simulate(simulation, _loads(problem, scale, offered))
    return {one.workflow: one for one in workflow_results(simulation)}


def _loads(problem: Problem, scale: float, offered: Offered) -> list[Load]:
    found = programs(offered.seed)
    return [
        Load(
            found[target.workflow],
            arrivals(
                target.rate * scale,
                max(20, round(target.rate * scale * offered.seconds)),
                random.Random(f"{offered.seed}/{target.workflow}"),
                cv=offered.cv,
            ),
        )
        for target in problem.targets
    ]
