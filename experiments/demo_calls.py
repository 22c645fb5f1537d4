"""Where the demo's predictions and its emulated engines differ, call by call.

    .venv/bin/python experiments/demo_calls.py DIR...

Each DIR is the folder of a demo. "In the plan": the mean latency of a call that the plan predicts
from its curves, beside that in a long simulation of the plan with the step times of the emulated
GPUs, which take no time for HTTP; and the mean latency of a run, if the recorded runs are replayed
with the curves' latency for this LLM and with the simulated one for all others. "When traced": what
the gateway recorded, beside a simulation of the same runs at the times at which they began. There
the difference is the time of HTTP, with the busy cores of this machine. Half a minute for each.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from demo_window import long_times
from evaluation.demo_runs import planned_with

from scepsy.core.plan import Infeasible, Plan
from scepsy.core.trace import Trace
from scepsy.demo.manual_plans import one_of_each
from scepsy.predict import recordings
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.recorded import RecordedWorkflow, replays
from scepsy.store import read_plan

Latencies = Mapping[tuple[str, str], float]
"""Mean seconds of a call, by workflow and LLM."""
HEADS = "workflow", "LLM", "predicted, ms", "simulated, ms", "run", "traced, ms", "simulated, ms"


def simulated(plan: Plan, loads: Sequence[OpenLoopLoad]) -> tuple[Latencies, dict[str, float]]:
    """Mean latency of calls, and of runs by workflow. Seconds."""
    made = deployment(plan)
    if isinstance(made, Infeasible):
        raise RuntimeError(made.reason)
    simulate(made, loads)
    calls: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for call in made.calls:
        calls[call.workflow, call.ask.llm].append(call.latency)
    runs: defaultdict[str, list[float]] = defaultdict(list)
    for run in made.runs:
        runs[run.workflow].append(run.latency)
    return (
        {of: fmean(took) for of, took in calls.items()},
        {name: fmean(took) for name, took in runs.items()},
    )


def as_traced(known: Sequence[Trace]) -> list[OpenLoopLoad]:
    """Every run once, when it began."""
    first = min(run.start for run in known)
    loads: list[OpenLoopLoad] = []
    for name in sorted({run.workflow for run in known}):
        own = sorted((run for run in known if run.workflow == name), key=lambda run: run.start)
        in_order = [replays([run], random.Random(0))[name].recordings[0] for run in own]
        times = [run.start - first for run in own]
        loads.append(OpenLoopLoad(RecordedWorkflow(name, in_order), times))
    return loads


def lines(folder: Path) -> list[str]:
    plan, known = read_plan(folder / "plan.json"), planned_with(folder)
    replayed, recorded = replays(known, random.Random(0)), recordings(known)
    times = long_times(plan)
    truth, _ = simulated(plan, [OpenLoopLoad(replayed[name], at) for name, at in times.items()])
    first = one_of_each(plan.llms, plan.cluster, plan.targets)
    then, _ = simulated(first, as_traced(known))
    found: list[str] = []
    for flow in plan.prediction.workflows:
        own = recorded[flow.workflow]
        overlap = {stage.llm: stage.overlap / own.duration[stage.llm] for stage in flow.stages}
        exact = {llm: factor * truth[flow.workflow, llm] for llm, factor in overlap.items()}
        base = own.times.latencies(exact).mean()
        for stage in flow.stages:
            key = flow.workflow, stage.llm
            one = {**exact, stage.llm: overlap[stage.llm] * stage.call_latency}
            cells = [
                *key,
                f"{1e3 * stage.call_latency:.1f}",
                f"{1e3 * truth[key]:.1f}",
                f"{own.times.latencies(one).mean() / base - 1:+.1%}",
                f"{1e3 * own.duration[stage.llm]:.1f}",
                f"{1e3 * then[key]:.1f}",
            ]
            found.append(f"| {folder.name} | {' | '.join(cells)} |")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    print(f"| demo | {' | '.join(HEADS)} |\n{'|---' * (len(HEADS) + 1)}|")
    for folder in parser.parse_args().folders:
        print("\n".join(lines(folder)), flush=True)


if __name__ == "__main__":
    main()
