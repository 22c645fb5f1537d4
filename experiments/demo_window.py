"""What the demo's short window does to a mean latency: its arrivals, of fixed count after a warm-up
of five seconds, against a long series of Poisson arrivals, in the simulator.

    .venv/bin/python experiments/demo_window.py DIR... [--windows N]

Each DIR is the folder of a demo. Its plan serves the runs that it was made for in a long
simulation and in many such windows. Prints the mean of the windows, and what the demo predicted,
over that of the long simulation. Half a minute for each folder.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from evaluation.demo_runs import planned_with

from scepsy.core.plan import Infeasible, Plan
from scepsy.demo.settings import settings_for
from scepsy.drive.arrivals import schedule
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.recorded import RecordedWorkflow, replays
from scepsy.store import read_plan

ROOT = Path(__file__).parent.parent
RUNS_LONG = 4000
TAIL = 10.0
"""Seconds in which runs go on arriving after the window, as in a drive."""


def served(
    plan: Plan, replay: Mapping[str, RecordedWorkflow], times: Mapping[str, Sequence[float]]
) -> dict[str, list[tuple[float, float]]]:
    """By workflow, (arrival, latency) of every run in seconds."""
    made = deployment(plan)
    if isinstance(made, Infeasible):
        raise RuntimeError(made.reason)
    names = sorted(times)
    simulate(made, [OpenLoopLoad(replay[name], times[name]) for name in names])
    return {
        name: [(run.arrival, run.latency) for run in made.runs if run.workflow == name]
        for name in names
    }


def window(plan: Plan, folder: Path, seed: int, warmup: float, duration: float) -> dict[str, float]:
    """By workflow, the mean latency of the runs that arrive in a drive's window."""
    times: dict[str, list[float]] = {}
    for target in plan.targets:
        coming = schedule(
            target.rate, warmup, duration, (), random.Random(f"{seed}/{target.workflow}")
        )
        times[target.workflow] = []
        for arrival in coming:
            if arrival.time > duration + TAIL:
                break
            times[target.workflow].append(warmup + arrival.time)
    found = served(plan, recorded(folder, seed), times)
    return {
        name: fmean(took for at, took in runs if warmup <= at < warmup + duration)
        for name, runs in found.items()
    }


def recorded(folder: Path, seed: int) -> Mapping[str, RecordedWorkflow]:
    return replays(planned_with(folder), random.Random(seed))


def long_seconds(plan: Plan) -> float:
    return RUNS_LONG / min(target.rate for target in plan.targets)


def long_times(plan: Plan) -> dict[str, list[float]]:
    """By workflow, the arrivals of a long simulation at the target rates."""
    return {
        one.workflow: arrivals(
            one.rate, round(one.rate * long_seconds(plan)), random.Random(one.workflow)
        )
        for one in sorted(plan.targets, key=lambda target: target.workflow)
    }


def long_run(plan: Plan, folder: Path) -> dict[str, float]:
    seconds = long_seconds(plan)
    found = served(plan, recorded(folder, 0), long_times(plan))
    return {
        name: fmean(took for at, took in runs if 0.05 * seconds < at < 0.95 * seconds)
        for name, runs in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--windows", type=int, default=100)
    options = parser.parse_args()
    settings = settings_for("emulated", ROOT, Path("unused"), 0)
    print("| seed | workflow | long, s | windows over it | predicted over it |")
    print("|-" * 5 + "|")
    for folder in options.folders:
        plan = read_plan(folder / "plan.json")
        told = json.loads((folder / "summary.json").read_text())
        truth = long_run(plan, folder)
        shape = settings.warmup, settings.duration
        many = [window(plan, folder, 1000 + number, *shape) for number in range(options.windows)]
        for one in told["workflows"]:
            name = one["workflow"]
            ratios = [each[name] / truth[name] for each in many]
            spread = stdev(ratios) / len(ratios) ** 0.5
            print(
                f"| {told['seed']} | {name} | {truth[name]:.2f} "
                f"| {fmean(ratios) - 1:+.1%} ± {1.64 * spread:.1%} "
                f"| {one['predicted']['latency_mean'] / truth[name] - 1:+.1%} |"
            )


if __name__ == "__main__":
    main()
