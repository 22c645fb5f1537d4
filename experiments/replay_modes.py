"""Which replay gives the latency that calls have in the workflow: whole runs whose bursts wait for
one another, or single bursts? In simulated time, where there is no noise but that of the queue.

    scepsy demo --out out/demo && .venv/bin/python experiments/replay_modes.py out/demo

Simulates the demo's plan under both programs at several loads: as they are; with the calls of one
LLM only, in whole runs; and burst by burst. Prints the mean latency of a call. About a minute.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import msgspec

from scepsy.core.plan import Infeasible, Plan
from scepsy.core.trace import Trace
from scepsy.curves.bursts import bursts_of
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.recorded import replays
from scepsy.store import read_plan, read_traces

LOADS = (0.5, 1.0, 1.4, 1.8, 2.2)
RUNS = 1000
LLM = "generator"


def main() -> None:
    where = Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo")
    plan, traces = read_plan(where / "plan.json"), read_traces(where / "traces").traces
    traces = tuple(t for t in traces if t.workflow in {target.workflow for target in plan.targets})
    print(f"mean latency of a call of {LLM!r}, seconds; error of each replay")
    for load in LOADS:
        true = latencies(plan, traces, {target.workflow: 1.0 for target in plan.targets}, load)
        line = [f"load {load:.1f}"]
        for name, (replayed, scale) in {"runs": runs(traces), "bursts": bursts(traces)}.items():
            found = latencies(plan, replayed, scale, load)
            line += [f"{name} {w}: {found[w] / true[w] - 1:+.1%}" for w in sorted(true)]
        print("  ".join((*line, *(f"{w} {true[w]:.3f} s" for w in sorted(true)))), flush=True)


def runs(traces: Sequence[Trace]) -> tuple[list[Trace], dict[str, float]]:
    """The LLM's calls alone, in whole runs; as many arrive."""
    kept = [
        msgspec.structs.replace(trace, calls=calls)
        for trace in traces
        if (calls := tuple(call for call in trace.calls if call.llm == LLM))
    ]
    return kept, _scale(kept, traces)


def bursts(traces: Sequence[Trace]) -> tuple[list[Trace], dict[str, float]]:
    """Each burst as a run of its own; as many more arrive."""
    made = [
        Trace(
            run=f"{burst.run}/{number}",
            workflow=burst.workflow,
            start=burst.start,
            end=burst.end,
            calls=burst.calls,
        )
        for run in bursts_of(traces, LLM)
        for number, burst in enumerate(run)
    ]
    return made, _scale(made, traces)


def _scale(made: Sequence[Trace], traces: Sequence[Trace]) -> dict[str, float]:
    names = {trace.workflow for trace in traces}
    return {
        name: sum(t.workflow == name for t in made) / sum(t.workflow == name for t in traces)
        for name in names
    }


def latencies(
    plan: Plan, traces: Sequence[Trace], scale: dict[str, float], load: float
) -> dict[str, float]:
    """By workflow; the first and last tenth of the time left out."""
    simulation = deployment(plan)
    if isinstance(simulation, Infeasible):
        raise SystemExit(simulation.reason)
    flows = replays(traces, random.Random(0))
    slowest = min(target.rate for target in plan.targets)
    seconds = RUNS / slowest / load
    loads = [
        OpenLoopLoad(
            flows[target.workflow],
            arrivals(
                target.rate * load * scale[target.workflow],
                round(seconds * target.rate * load * scale[target.workflow]),
                random.Random(f"{target.workflow}/{load}"),
            ),
        )
        for target in plan.targets
    ]
    simulate(simulation, loads)
    return {
        target.workflow: fmean(
            call.latency
            for call in simulation.calls
            if call.workflow == target.workflow
            and call.ask.llm == LLM
            and 0.1 * seconds <= call.start < 0.9 * seconds
        )
        for target in plan.targets
    }


if __name__ == "__main__":
    main()
