"""One case on one GPU type, as the problem that every planner is given."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache

from evaluation.tracing import cluster, traced
from evaluation.workflows import CASES, LLMS, programs
from scepsy.core.plan import Infeasible, Target
from scepsy.core.trace import Trace
from scepsy.estimate.curves import estimate
from scepsy.estimate.steps import Steps
from scepsy.predict import responses
from scepsy.predict.response import Response
from scepsy.problem import Problem
from scepsy.profiler.jobs import jobs
from scepsy.summarize import summarize

TRACED, SEED = 40, 1
"""Runs that are traced, and the series they are of; what is measured is another one."""


@cache
def traces(gpu_type: str) -> tuple[Trace, ...]:
    found: list[Trace] = []
    for program in programs(SEED).values():
        found += traced(program, TRACED, LLMS, gpu_type)
    return tuple(found)


@cache
def profile(gpu_type: str) -> dict[tuple[str, str], Response]:
    """Estimated curves of every LLM: the profiler's own sweep, in simulated time."""
    machines = cluster(8, gpu_type)
    source = Steps(gpu_type, "modelled")
    curves = []
    for job in jobs(traces(gpu_type), LLMS, machines):
        found = estimate(job, traces(gpu_type), machines, [source])
        if isinstance(found, str):
            print(f"left out: {found}", file=sys.stderr)
        else:
            curves += found
    return responses(curves)


def problem(case: str, gpus: int, gpu_type: str) -> Problem:
    """At a rate of one: `scaled` gives others."""
    workflows = CASES[case]
    demands = tuple(one for one in summarize(list(traces(gpu_type))) if one.workflow in workflows)
    return Problem(
        demands=demands,
        targets=tuple(Target(workflow=name, rate=rate) for name, rate in workflows.items()),
        responses=profile(gpu_type),
        llms=LLMS,
        cluster=cluster(gpus, gpu_type),
        share_step=0.1,
    )


def highest(one: Problem) -> float:
    """The greatest scale of the rates, within 1%, for which our planner has a plan."""
    low, high = 0.0, 1.0
    while not isinstance(one.scaled(high).decide(), Infeasible):
        low, high = high, 2 * high
    while high - low > 0.01 * high:
        middle = (low + high) / 2
        if isinstance(one.scaled(middle).decide(), Infeasible):
            high = middle
        else:
            low = middle
    return low


def on(one: Problem, gpus: int) -> Problem:
    return replace(one, cluster=cluster(gpus, one.cluster.nodes[0].gpu_type))
