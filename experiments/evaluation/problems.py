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
from scepsy.planning.simulated_runs import runs_to_simulate
from scepsy.predict import Pipeline, responses
from scepsy.predict.response import Response
from scepsy.traces.summarize import summarize

TRACED = 1000
"""Runs of each program that are traced. With 100 the mean latency of beam search is known to 11%
(90% interval), and near saturation to several times that."""
TRACED_OF = {"coding": 400}
"""Of this workflow fewer: its prompts have up to 64k tokens, so 1,000 runs take gigabytes."""
PROFILED = 200
"""Runs of each program that curves are made of, like all of them in the mean. A round of a sweep
serves at most 1,500 calls, so more runs would hardly be used."""
SAMPLED = (
    ("h100", 4),
    ("h100", 8),
    ("h100", 16),
    ("a100", 4),
    ("a100", 8),
    ("a100", 16),
    ("h100", 64),
    ("h100", 256),
    ("h100", 1024),
)
"""Clusters whose planners know a series of runs of their own. One series for all would make one
error of what is known look like many."""


class Spot(NamedTuple):
    """A case on so many GPUs."""

    case: str
    gpu_type: str
    gpus: int


def traced_seed(gpu_type: str, gpus: int) -> int:
    """Of the series of runs that planners of that cluster know; odd. Other clusters have the first
    one's.
    """
    key = gpu_type, gpus
    return 1 + 2 * (SAMPLED.index(key) if key in SAMPLED else 0)


def measured_seed(gpu_type: str, gpus: int) -> int:
    """Of the series of runs that are measured there, which no planner knows; even."""
    return traced_seed(gpu_type, gpus) + 1


def traces(case: str, gpu_type: str, gpus: int) -> tuple[Trace, ...]:
    return _traces(case, gpu_type, traced_seed(gpu_type, gpus))


def profile(case: str, gpu_type: str, gpus: int) -> dict[tuple[str, str], Response]:
    """Estimated curves of every LLM, in simulated time."""
    return _profile(case, gpu_type, traced_seed(gpu_type, gpus))


def _simulated(case: str, gpu_type: str, seed: int) -> tuple[Trace, ...]:
    known = programs(seed)
    found: list[Trace] = []
    for name in CASES[case]:
        found += traced(known[name], TRACED_OF.get(name, TRACED), LLMS, gpu_type)
    return tuple(found)


_traces = stored(_simulated, in_memory=False)


@stored
def _profile(case: str, gpu_type: str, seed: int) -> dict[tuple[str, str], Response]:
    if case == "both":  # its workflows share no LLM
        return _profile("beam_search", gpu_type, seed) | _profile("rag", gpu_type, seed)
    machines = cluster(8, gpu_type)
    source = Steps(gpu_type, "modelled")
    known = _traces(case, gpu_type, seed)
    known = runs_to_simulate(known, dict.fromkeys(CASES[case], PROFILED), seed)
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
    demands = summarize(traces(*spot))
    return Problem(
        Pipeline(demands, targets, profile(*spot)),
        llms=LLMS,
        cluster=cluster(spot.gpus, spot.gpu_type),
        share_step=0.1,
    )


@stored
def alone(spot: Spot) -> dict[str, float]:
    """Mean latency by workflow, traced."""
    return {one.workflow: one.latency.mean for one in problem(spot).demands}


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
