"""One case on one GPU type, as the problem that every planner is given."""

from __future__ import annotations

import sys
from typing import NamedTuple

from evaluation.stored import stored
from evaluation.tracing import cluster, traced
from evaluation.workflows import CASES, LLMS, programs
from scepsy.core.plan import Infeasible, Target
from scepsy.core.trace import Trace
from scepsy.curves.jobs import jobs
from scepsy.estimate.curves import estimate
from scepsy.estimate.step_times.steps import Steps
from scepsy.planning.planner import allocate
from scepsy.planning.problem import Problem
from scepsy.predict import Pipeline, responses
from scepsy.predict.response import Response
from scepsy.traces.summarize import summarize

TRACED, SEED = 100, 1
"""Runs that are traced, and the series they are of; what is measured is another one."""


class Spot(NamedTuple):
    """A case on so many GPUs."""

    case: str
    gpu_type: str
    gpus: int


@stored
def traces(case: str, gpu_type: str) -> tuple[Trace, ...]:
    known = programs(SEED)
    found: list[Trace] = []
    for name in CASES[case]:
        found += traced(known[name], TRACED, LLMS, gpu_type)
    return tuple(found)


@stored
def profile(case: str, gpu_type: str) -> dict[tuple[str, str], Response]:
    """Estimated curves of every LLM, in simulated time."""
    if case == "both":  # its workflows share no LLM
        return profile("beam_search", gpu_type) | profile("rag", gpu_type)
    machines = cluster(8, gpu_type)
    source = Steps(gpu_type, "modelled")
    known = traces(case, gpu_type)
    curves = []
    for job in jobs(known, LLMS, machines, share_groups=True):
        found = estimate(job, known, machines, [source])
        if isinstance(found, str):
            print(f"left out: {found}", file=sys.stderr)
        else:
            curves += found
    return responses(curves)


@stored
def problem(spot: Spot) -> Problem:
    """At a rate of one: `scaled` gives others."""
    targets = tuple(Target(workflow=name, rate=rate) for name, rate in CASES[spot.case].items())
    demands = summarize(traces(spot.case, spot.gpu_type))
    return Problem(
        Pipeline(demands, targets, profile(spot.case, spot.gpu_type)),
        llms=LLMS,
        cluster=cluster(spot.gpus, spot.gpu_type),
        share_step=0.1,
    )


@stored
def highest(spot: Spot) -> float:
    """The greatest scale of the rates, within 1%, for which our planner has a plan."""
    one = problem(spot)
    low, high = 0.0, 1.0
    while not isinstance(allocate(one.scaled(high)), Infeasible):
        low, high = high, 2 * high
    while high - low > 0.01 * high:
        middle = (low + high) / 2
        if isinstance(allocate(one.scaled(middle)), Infeasible):
            high = middle
        else:
            low = middle
    return low
