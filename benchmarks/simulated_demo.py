"""The demo's measured latencies beside those of the simulator, at the same load and sample size.

    scepsy demo --seed 0 && python benchmarks/simulated_demo.py out/demo

The demo drives each workflow for less than a minute: so the simulator repeats that with 30 seeds,
and says how far one such measurement may lie from the mean of many.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from statistics import fmean, stdev

from scepsy.core.plan import Infeasible
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.recorded import replays
from scepsy.store import read_plan, read_traces

SEEDS = 30
BEFORE, MEASURED, AFTER = 20.0, 46.7, 13.3
"""Seconds in which runs arrive; those of the middle part count."""


def main() -> None:
    where = Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo")
    plan = read_plan(where / "plan.json")
    traces = read_traces(where / "traces").traces
    means: dict[str, list[float]] = {target.workflow: [] for target in plan.targets}
    for seed in range(SEEDS):
        simulation = deployment(plan)
        if isinstance(simulation, Infeasible):
            raise SystemExit(simulation.reason)
        flows = replays(traces, random.Random(seed))
        loads = [
            OpenLoopLoad(
                flows[target.workflow],
                arrivals(
                    target.rate,
                    round(target.rate * (BEFORE + MEASURED + AFTER)),
                    random.Random(f"{seed}/{target.workflow}"),
                ),
            )
            for target in plan.targets
        ]
        simulate(simulation, loads)
        for workflow, found in means.items():
            found.append(
                fmean(
                    run.latency
                    for run in simulation.runs
                    if run.workflow == workflow and BEFORE <= run.arrival < BEFORE + MEASURED
                )
            )
    print("workflow        measured   predicted by the pipeline   simulated (one such measurement)")
    for flow in json.loads((where / "summary.json").read_text())["workflows"]:
        found = means[flow["workflow"]]
        measured, predicted = flow["measured"]["latency_mean"], flow["predicted"]["latency_mean"]
        print(
            f"{flow['workflow']:14s} {measured:7.2f} s {predicted:8.2f} s"
            f" ({predicted / measured - 1:+.1%})"
            f" {fmean(found):16.2f} s ({fmean(found) / measured - 1:+.1%}, +- {stdev(found):.2f} s)"
        )


if __name__ == "__main__":
    main()
