"""Which GPUs bring less than the tolerance: the evaluation's workflows on 8 to 64 GPUs, planned on
all GPUs, with the tolerance, and once more on one GPU fewer than that takes.

    .venv/bin/python experiments/free_gpus.py

Prints a row for each problem, and exits with 1 if any plan uses a GPU that it could do without. No
simulation: the replay of the traced runs decides.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from math import inf

from evaluation.problems import Spot, highest, problem, traces
from evaluation.workflows import CASES

from scepsy.core.plan import Infeasible
from scepsy.planning.gpu_choice import leave_free
from scepsy.planning.planner import STEPS, decide, shortlist
from scepsy.planning.tolerance import DEFAULT_TOLERANCE
from scepsy.predict import recordings

GPUS = (8, 16, 64)
LOADS = (0.05, 0.5, 0.9)
"""Parts of the highest rate for which there is a plan."""


def rows() -> Iterator[tuple[str, int, float, int, int, float, float]]:
    """Case, GPUs, load, GPUs in use without and with tolerance, and how much slower the plan with
    tolerance and the best on one GPU fewer are.
    """
    for case, gpus, load in product(CASES, GPUS, LOADS):
        spot = Spot(case, "h100", gpus)
        known = traces(case, "h100")
        one = problem(spot).scaled(load * highest(spot))
        fastest = decide(one, known, None)
        if isinstance(fastest, Infeasible):
            continue
        best = fastest.entry.replay.objective
        chosen = leave_free(fastest, one, known, 1.0, DEFAULT_TOLERANCE, STEPS).entry
        used = chosen.placement.gpus
        fewer = shortlist(one.within(used - 1), recordings(known))
        slower = inf
        if not isinstance(fewer, Infeasible):
            slower = fewer.entries[0].replay.objective / best - 1
        given_up = chosen.replay.objective / best - 1
        yield case, gpus, load, fastest.entry.placement.gpus, used, given_up, slower


def main() -> int:
    print("case          GPUs   load   without   with   slower by   on one GPU fewer")
    needless = 0
    for case, gpus, load, before, used, slower, fewer in rows():
        print(
            f"{case:12} {gpus:5d} {load:6.0%} {before:9d} {used:6d} {slower:11.2%} {fewer:17.1%}",
            flush=True,
        )
        needless += fewer <= DEFAULT_TOLERANCE
    print(f"{needless} plans use a GPU that they could do without")
    return 1 if needless else 0


if __name__ == "__main__":
    sys.exit(main())
