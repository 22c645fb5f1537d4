"""A deployment under load -> what it did."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from evaluation.deployed import Deployed, simulation_of
from evaluation.workflows import programs
from scepsy.planning.problem import Problem
from scepsy.sim.cluster.simulation import Policy, Simulation
from scepsy.sim.results.measure import window, workflow_results
from scepsy.sim.results.records import WorkflowResult
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.statistics import batch_means

SEED = 2
"""Of the runs that are measured; others are traced."""
SUSTAINED = 0.95
"""Part of the offered rate that must be served, by the growth of latency."""
LONGEST = 0.25
"""Mean latency, as part of the time over which it was measured."""
T_95 = batch_means.t_95(batch_means.BATCHES)


@dataclass(frozen=True, slots=True)
class Offered:
    """How long runs arrive, in seconds, at which CV of their gaps; and by workflow, at how many
    times the rate that is planned for. Whether neighbours on a GPU slow one another there.
    """

    seconds: float
    cv: float = 1.0
    seed: int = SEED
    factors: tuple[tuple[str, float], ...] = ()
    contention: bool = True


@dataclass(frozen=True, slots=True)
class Measured:
    """`latencies` are those of the measured runs in order of arrival, by workflow: the same runs
    for every system. `seconds` is how long runs that count arrived.
    """

    workflows: Mapping[str, WorkflowResult]
    latencies: Mapping[str, Sequence[float]]
    seconds: float

    def sustained(self, workflow: str) -> bool:
        """Whether its load was carried: latency neither grows as the load lasts, nor is so long
        that the measurement could not tell.
        """
        of = self.workflows[workflow]
        grows = 1 / (1 + of.latency_growth) < SUSTAINED
        return not grows and of.latency.mean <= LONGEST * self.seconds

    @property
    def total(self) -> float:
        """The sum of the workflows' mean latencies: what plans minimise."""
        return sum(of.latency.mean for of in self.workflows.values())


def measured(
    problem: Problem,
    scale: float,
    deployed: Deployed,
    policy: Policy | None,
    offered: Offered,
) -> Measured:
    """What `deployed` did with `scale` times the rates. All systems get the same runs at the same
    times.
    """
    simulation = simulation_of(deployed, problem, contention=offered.contention)
    simulation.policy = policy
    simulate(simulation, _loads(problem, scale, offered))
    return observed(simulation)


def observed(simulation: Simulation) -> Measured:
    begin, end = window(simulation)
    latencies: dict[str, list[float]] = {}
    for run in simulation.runs:
        if begin <= run.arrival <= end:
            latencies.setdefault(run.workflow, []).append(run.latency)
    results = {one.workflow: one for one in workflow_results(simulation)}
    return Measured(results, latencies, end - begin)


def over(ours: Measured, theirs: Measured) -> tuple[float, float]:
    """How much greater our total is, relative to theirs, and the half-width of its 95% interval:
    of the differences run by run, in batches of runs that follow one another.
    """
    error = 0.0
    for name, mine in ours.latencies.items():
        differences = [a - b for a, b in zip(mine, theirs.latencies[name], strict=True)]
        error = math.hypot(error, standard_error(differences))
    return ours.total / theirs.total - 1, batch_means.t_95(
        batch_means.BATCHES
    ) * error / theirs.total


def standard_error(differences: Sequence[float]) -> float:
    """Of their mean, by batch means; 0 where there is but one value."""
    return batch_means.standard_error(list(map(fmean, batch_means.consecutive(differences)))) or 0.0


def _loads(problem: Problem, scale: float, offered: Offered) -> list[OpenLoopLoad]:
    found = programs(offered.seed)
    loads: list[OpenLoopLoad] = []
    for target in problem.targets:
        name = target.workflow
        rate = target.rate * scale * dict(offered.factors).get(name, 1.0)
        runs, rng = max(20, round(rate * offered.seconds)), random.Random(f"{offered.seed}/{name}")
        loads.append(OpenLoopLoad(found[name], arrivals(rate, runs, rng, cv=offered.cv)))
    return loads
