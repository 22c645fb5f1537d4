"""Aegaeon's pool with the split of its GPUs that suits it best: tried in simulation."""

from __future__ import annotations

import random
from dataclasses import replace
from math import inf

from evaluation.deployed import simulation_of
from evaluation.workflows import programs
from scepsy.core.plan import Infeasible
from scepsy.peers.aegaeon import Pool, pools
from scepsy.peers.aegaeon.weights import HOST_LINK_RATE
from scepsy.planning.problem import Problem
from scepsy.sim.results.measure import workflow_results
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate

SEED = 1
"""Of the runs that are tried: those that are traced for planners too."""
TRIALS = ((1_000, 3), (6_000, 1))
"""Calls of a trial, and how many of the pools stay on after it."""


def best_pool(problem: Problem, link: float = HOST_LINK_RATE) -> Pool | Infeasible:
    """Of all pools, after a short trial of each at the targets' rates and a long one of the best:
    the one whose workflows' mean latencies have the least sum.
    """
    found = pools(problem)
    if isinstance(found, Infeasible):
        return found
    left = [replace(pool, link=link) for pool in found]
    for calls, stay in TRIALS:
        left = sorted(left, key=lambda pool: _tried(pool, problem, calls))[:stay]
    return left[0]


def _tried(pool: Pool, problem: Problem, calls: int) -> float:
    rates = {target.workflow: target.rate for target in problem.targets}
    per_second = sum(
        rates[demand.workflow] * sum(llm.calls for llm in demand.llms) for demand in problem.demands
    )
    known, simulation = programs(SEED), simulation_of(pool, problem)
    loads = [
        OpenLoopLoad(
            known[name],
            arrivals(rate, max(10, round(rate * calls / per_second)), random.Random(name)),
        )
        for name, rate in rates.items()
    ]
    simulate(simulation, loads)
    results = workflow_results(simulation)
    return sum(one.latency.mean for one in results) if len(results) == len(rates) else inf
