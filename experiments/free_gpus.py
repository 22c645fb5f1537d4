"""Which GPUs bring less than the tolerance: the evaluation's workflows on 8 to 64 GPUs, planned on
all GPUs, with the tolerance, and once more on one GPU fewer than that takes.

    .venv/bin/python experiments/free_gpus.py [--case NAME...] [--gpus N...] [--demo DIR...]

`--demo`: finished demos, whose own traces, profile and targets are planned for, at a part of the
targets and more. Prints a row for each problem, and exits with 1 if any plan uses a GPU that it
could do without. No simulation: the replay of the traced runs decides.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from evaluation.problems import Spot, highest, problem, traces
from evaluation.tracing import cluster
from evaluation.workflows import CASES

from scepsy.core.plan import Infeasible
from scepsy.core.trace import Trace
from scepsy.planning.gpu_choice import leave_free
from scepsy.planning.planner import STEPS, decide, shortlist
from scepsy.planning.problem import Problem
from scepsy.planning.tolerance import DEFAULT_TOLERANCE
from scepsy.predict import Pipeline, recordings, responses
from scepsy.store import read_plan, read_profile, read_traces

GPUS = (8, 16, 64)
LOADS = (0.05, 0.5, 0.9)
"""Parts of the highest rate for which there is a plan on 8 GPUs, times the GPUs over 8."""
DEMO_LOADS = (0.1, 0.5, 1.0, 1.5)
"""Multiples of a demo's target rates."""


@dataclass(frozen=True, slots=True)
class Question:
    """A problem and the runs that its planner knows; `name` and `load` are printed."""

    name: str
    load: float
    problem: Problem
    traces: Sequence[Trace]


@dataclass(frozen=True, slots=True)
class Answer:
    """GPUs in use without and with the tolerance; and how much slower than the fastest plan, as a
    part of its latency, the plan with the tolerance is, and the best on one GPU fewer.
    """

    before: int
    used: int
    slower: float
    on_one_fewer: float


def evaluated(cases: Sequence[str], gpus: Sequence[int]) -> Iterator[Question]:
    for case in cases:
        spot = Spot(case, "h100", 8)
        known, base = traces(*spot), problem(spot)
        for count in gpus:
            on = replace(base, cluster=cluster(count, "h100"))
            for load in LOADS:
                scale = load * highest(spot) * count / 8
                yield Question(f"{case}, {count} GPUs", load, on.scaled(scale), known)


def demo(folder: Path) -> Iterator[Question]:
    plan = read_plan(folder / "plan.json")
    names = {target.workflow for target in plan.targets}
    known = [one for one in read_traces(folder / "traces").traces if one.workflow in names]
    curves = responses(read_profile(folder / "profile.json").curves)
    pipeline = Pipeline(plan.demands, plan.targets, curves)
    base = Problem(pipeline, llms=plan.llms, cluster=plan.cluster, share_step=0.1)
    for load in DEMO_LOADS:
        yield Question(str(folder), load, base.scaled(load), known)


def answer(asked: Question) -> Answer | None:
    """None where no plan meets the rates."""
    fastest = decide(asked.problem, asked.traces, None)
    if isinstance(fastest, Infeasible):
        return None
    best = fastest.entry.replay.objective
    chosen = leave_free(fastest, asked.problem, asked.traces, 1.0, DEFAULT_TOLERANCE, STEPS).entry
    used = chosen.placement.gpus
    fewer = shortlist(asked.problem.within(used - 1), recordings(asked.traces))
    return Answer(
        fastest.entry.placement.gpus,
        used,
        chosen.replay.objective / best - 1,
        inf if isinstance(fewer, Infeasible) else fewer.entries[0].replay.objective / best - 1,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--gpus", type=int, nargs="+", default=GPUS)
    parser.add_argument("--demo", type=Path, nargs="+", default=[], help="finished demos' folders")
    options = parser.parse_args()
    print(f"{'problem':32}   load   without   with   slower by   on one GPU fewer")
    needless = 0
    asked = [question for folder in options.demo for question in demo(folder)]
    for question in (*asked, *evaluated(options.case, options.gpus)):
        found = answer(question)
        if found is None:
            continue
        print(
            f"{question.name:32} {question.load:6.0%} {found.before:9d} {found.used:6d}"
            f" {found.slower:11.2%} {found.on_one_fewer:17.1%}",
            flush=True,
        )
        needless += found.on_one_fewer <= DEFAULT_TOLERANCE
    print(f"{needless} plans use a GPU that they could do without")
    return 1 if needless else 0


if __name__ == "__main__":
    sys.exit(main())
