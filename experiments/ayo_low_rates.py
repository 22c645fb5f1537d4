"""Low rates: our plans against Ayo's rules, with and without its passes over the workflow's graph.

    .venv/bin/python experiments/ayo_low_rates.py [--out DIR]

Writes ayo_low_rates.json, rows `{case, gpus, part, variant, latency_mean, over, within}` (seconds;
`over` our plan under our routing, +- `within`, 95% of the paired runs), and ayo_low_rates.md.

A pass rewrites a program, so our plans can have it too. Beam search: a candidate is verified as
soon as it is there, not when its siblings are (pruned dependencies), and the verifier computes the
known part of its prompts while the generator still writes (split prefill). In RAG nothing is known
early that the prefix cache does not hold already: the passages come from the reranker, and the
check's prompt begins with what the writer has just read. What streaming answers into the next
prompt could bring on top is bounded by prompts of which all but one token are there already.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

from evaluation.deployed import Deployed, simulation_of
from evaluation.passes import passed, streamed
from evaluation.problems import Spot, highest, problem
from evaluation.systems import ours
from evaluation.workflows import programs

from scepsy.core.plan import Infeasible
from scepsy.peers.ayo import TopologyAware, ayo
from scepsy.planning.problem import Problem
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.program import Program, Steps

ROOT = Path(__file__).parent.parent
PARTS = (0.02, 0.05, 0.1)
GPUS = (4, 8)
RUNS, SEED = 250, 2
Rewrite = Callable[[Steps], Steps]


def as_it_is(steps: Steps) -> Steps:
    return steps


def both(steps: Steps) -> Steps:
    return passed(streamed(steps))


@dataclass(frozen=True, slots=True)
class Row:
    case: str
    gpus: int
    part: float
    variant: str
    latency_mean: float
    over: float
    within: float


def variants(case: str) -> Iterator[tuple[str, bool, Rewrite]]:
    """Name, whether it is ours, and what is done to the program."""
    yield "Scepsy", True, as_it_is
    yield "Ayo, no passes", False, as_it_is
    if case == "beam_search":
        yield "Ayo, passes", False, passed
        yield "Scepsy, Ayo's passes", True, passed
    yield "Ayo, bound of all passes", False, both if case == "beam_search" else streamed


def rows_of(case: str, gpus: int) -> Iterator[Row]:
    spot = Spot(case, "h100", gpus)
    base, most = problem(spot), highest(spot)
    for part in PARTS:
        one = base.scaled(part * most)
        first: list[float] = []
        for name, mine, rewrite in variants(case):
            deployed = ours(one) if mine else ayo(one)
            if isinstance(deployed, Infeasible):
                continue
            found = latencies(one, case, deployed, rewrite, mine)
            first = first or found
            mean = fmean(first)
            differences = [a - b for a, b in zip(found, first, strict=True)]
            within = 1.96 * stdev(differences) / sqrt(len(found)) / mean
            yield Row(case, gpus, part, name, fmean(found), fmean(differences) / mean, within)


def latencies(
    one: Problem, case: str, deployed: Deployed, rewrite: Rewrite, mine: bool
) -> list[float]:
    """Of the runs in order of arrival, the first tenth left out: the same runs for all variants."""
    base = programs(SEED)[case]
    program = Program(case, lambda rng: rewrite(base.steps(rng)), SEED)
    simulation = simulation_of(deployed, one)
    simulation.policy = None if mine else TopologyAware()
    times = arrivals(one.targets[0].rate, RUNS, random.Random(SEED))
    simulate(simulation, [OpenLoopLoad(program, times)])
    return [run.latency for run in simulation.runs[RUNS // 10 :]]


def report(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(row.variant for row in rows))
    lines = [f"| case | GPUs | rate | {' | '.join(names)} |", "|---" * (3 + len(names)) + "|"]
    for key, own in groupby(rows, key=lambda row: (row.case, row.gpus, row.part)):
        cells = {row.variant: _cell(row) for row in own}
        told = " | ".join(cells.get(name, "as without") for name in names)
        lines.append(f"| {key[0]} | {key[1]} | {key[2]:.0%} | {told} |")
    return "\n".join(lines) + "\n"


def _cell(row: Row) -> str:
    """Seconds for ours, the others relative to it."""
    if row.variant == "Scepsy":
        return f"{row.latency_mean:.3g} s"
    return f"{row.over:+.1%} +- {row.within:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found: list[Row] = []
    for case in ("beam_search", "rag"):
        for gpus in GPUS:
            for row in rows_of(case, gpus):
                found.append(row)
                print(row, flush=True)
    text = ",\n".join(json.dumps(asdict(row)) for row in found)
    (arguments.out / "ayo_low_rates.json").write_text(f"[\n{text}\n]\n")
    (arguments.out / "ayo_low_rates.md").write_text(report(found))


if __name__ == "__main__":
    main()
