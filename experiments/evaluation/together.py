"""Workflows on one deployment, alone and together: a run is the same whoever else is there."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import fmean

from evaluation.deployed import Deployed, simulation_of
from evaluation.measure import SEED, T_95, standard_error
from evaluation.workflows import programs
from scepsy.planning.problem import Problem
from scepsy.sim.cluster.simulation import Policy
from scepsy.sim.results.measure import EDGE
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.program import Program


@dataclass(frozen=True, slots=True)
class Seen:
    """A run: when it arrived, how long it took, and how long that of its calls waited for a first
    token that waited longest. Seconds.
    """

    arrival: float
    latency: float
    waited: float


def served(
    problem: Problem,
    deployed: Deployed,
    policy: Policy | None,
    rates: Mapping[str, float],
    seconds: float,
) -> dict[str, Sequence[Seen]]:
    """The runs of each workflow in `rates` that count, in order. At one rate a workflow has the
    same runs at the same times, whichever others there are.
    """
    simulation = simulation_of(deployed, problem)
    simulation.policy = policy
    loads: list[OpenLoopLoad] = []
    for name, rate in rates.items():
        times = arrivals(rate, round(rate * seconds), random.Random(f"{SEED}/{name}"))
        loads.append(OpenLoopLoad(_numbered(programs(SEED)[name]), times))
    simulate(simulation, loads)
    waited: defaultdict[int, float] = defaultdict(float)
    for call in simulation.calls:
        waited[call.run] = max(waited[call.run], call.first_token - call.start)
    found: dict[str, list[Seen]] = {name: [] for name in rates}
    for number, run in enumerate(simulation.runs):
        if EDGE * seconds <= run.arrival <= (1 - EDGE) * seconds:
            found[run.workflow].append(Seen(run.arrival, run.latency, waited[number]))
    return {name: tuple(runs) for name, runs in found.items()}


def _numbered(program: Program) -> Program:
    """What a run does follows from its number among those of its own workflow, not among all."""
    numbers, steps = count(), program.steps
    return Program(
        program.workflow,
        lambda _: steps(random.Random(f"{program.seed}/{program.workflow}/{next(numbers)}")),
        program.seed,
    )


def lost(mine: Sequence[Seen], alone: Sequence[Seen]) -> tuple[float, float]:
    """How many times as long the same runs took on average, +- how much (95%): from the differences
    run by run, in batches of runs that follow one another.
    """
    base = fmean(run.latency for run in alone)
    differences = [a.latency - b.latency for a, b in zip(mine, alone, strict=True)]
    return 1 + fmean(differences) / base, T_95 * standard_error(differences) / base
