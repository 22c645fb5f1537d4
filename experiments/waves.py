"""Waves: calls that one LLM sends on together, which no curve of a single LLM knows.

    .venv/bin/python experiments/waves.py

"research" of the evaluation on 8 H100, the last plan of the shortlist at parts of the highest rate,
simulated with the traced runs: calls of the oldest run first, as the gateway asks of engines, and
first come, first served. The unevenness of an LLM is the variance over the mean of the number of
its calls in half a second: 1 for independent calls. Prints a table. Four CPU minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from statistics import fmean

import numpy as np
from evaluation.problems import Spot, highest, problem, traces

from scepsy.core.plan import Infeasible
from scepsy.core.trace import Trace
from scepsy.planning.planner import shortlist
from scepsy.planning.problem import Problem
from scepsy.planning.shortlist import ShortlistEntry
from scepsy.planning.simulated_runs import runs_to_simulate
from scepsy.planning.simulation import draft, loads
from scepsy.predict import recordings
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.cluster.simulation import ServedCall, Simulation
from scepsy.sim.results.study import offered, recorded_workflows
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import simulate
from scepsy.sim.workload.recorded import Recording

SPOT = Spot("research", "h100", 8)
PARTS = (0.5, 0.65, 0.8)
CALLS = 30_000
WARMUP = 0.25
BIN = 0.5
"""Seconds."""
HEADS = ("load", "utilisation", "replay, s", "order", "simulated, s", "unevenness of calls")


def first_come(of: Iterable[Recording]) -> list[Recording]:
    """The recordings, all of whose calls have the same priority."""
    return [
        Recording(tuple(replace(node, ask=node.ask._replace(priority=0)) for node in one.nodes))
        for one in of
    ]


def simulated(
    entry: ShortlistEntry, at: Problem, known: tuple[Trace, ...], *, in_order: bool
) -> Simulation:
    """The traced runs under the plan. `in_order`: whether calls are served first come, first
    served.
    """
    rates = loads(entry, at, CALLS)
    counts = {name: runs for name, (_, runs) in rates.items()}
    workflows = recorded_workflows(runs_to_simulate(known, counts, 0), rates, 0)
    if in_order:
        for one in workflows.values():
            one.recordings = first_come(one.recordings)
    simulation = deployment(draft(entry, at, 1.0))
    assert isinstance(simulation, Simulation), simulation
    simulate(simulation, offered(workflows, rates, arrivals, 1.0, 0))
    return simulation


def unevenness(calls: Iterable[ServedCall], begin: float, end: float) -> float:
    counts, _ = np.histogram([call.start for call in calls], bins=np.arange(begin, end, BIN))
    return float(counts.var() / counts.mean())


def lines(part: float) -> Iterator[str]:
    """Two lines of the table: both orders at this part of the highest rate."""
    known = traces(*SPOT)
    at = problem(SPOT).scaled(part * highest(SPOT))
    listed = shortlist(at, recordings(known))
    assert not isinstance(listed, Infeasible), listed
    entry = listed.entries[-1]
    used = entry.replay.utilisation
    for order in ("oldest run first", "first come, first served"):
        done = simulated(entry, at, known, in_order=order != "oldest run first")
        end = max(run.arrival for run in done.runs)
        begin = WARMUP * end
        mean = fmean(run.latency for run in done.runs if run.arrival >= begin)
        cells = [f"{part:.0%}", ", ".join(f"{llm} {used[llm]:.2f}" for llm in used)]
        cells += [f"{entry.replay.objective:.3g}", order, f"{mean:.3g}"]
        by_llm = {llm: [call for call in done.calls if call.ask.llm == llm] for llm in used}
        uneven = (f"{llm} {unevenness(by_llm[llm], begin, end):.1f}" for llm in used)
        yield "| " + " | ".join([*cells, ", ".join(uneven)]) + " |"


def main() -> None:
    print(f"| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|", flush=True)
    for part in PARTS:
        for line in lines(part):
            print(line, flush=True)


if __name__ == "__main__":
    main()
