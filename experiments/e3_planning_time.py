"""E3: how long planning takes, against the number of LLMs, of GPUs, and the grain of GPU shares,
beside our implementations of others' strategies on the same problems.

    .venv/bin/python experiments/e3_planning_time.py [--most-gpus N] [--out DIR]

Writes e3.json, rows `{llms, gpus, share_step, system, first, seconds, found}`: CPU seconds of the
first call for a problem and of the second, e3.md and e3.svg. The problems are the LLMs of the
evaluation over and over, under names of their own. Who takes longer than `LIMIT` is not asked for
more GPUs. What peers' own planners took (`peer_planners/`) stands below, where it was run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from evaluation.lines import lines
from evaluation.planning import CONFIRMED, OURS, report
from evaluation.problems import Spot, problem, traces
from evaluation.systems import SYSTEMS, System
from evaluation.tracing import cluster

from scepsy.core.plan import Infeasible, Placement, Target
from scepsy.planning.planner import allocate_with_contention, decide
from scepsy.planning.problem import Problem
from scepsy.planning.simulation import SimulationOptions
from scepsy.predict import Pipeline

ROOT = Path(__file__).parent.parent
NAMES = (OURS, "HPA", "user-specified, best", "independent sizing", "MuxServe", "AlpaServe")
LLMS, GPUS, STEPS = (2, 5, 10, 20), (8, 16, 64, 256, 1024), (0.1, 0.05)
SHOWN = 5
"""LLMs in the picture."""
MOST_BY_HAND = 5
"""LLMs beyond which nobody enumerates splits by hand: their number grows exponentially."""
LIMIT = 5.0
"""CPU seconds of a call."""
MOST_CONFIRMED = 64
"""GPUs; the time of a simulation grows with the calls, so with the cluster."""
PEERS = "peer_planners.json"
USED = 0.5
"""Of the GPUs, roughly, by the load."""


@dataclass(frozen=True, slots=True)
class Row:
    llms: int
    gpus: int
    share_step: float
    system: str
    first: float
    seconds: float
    found: bool


def of_size(llms: int, gpus: int, share_step: float) -> Problem:
    """So many LLMs in one workflow, on a cluster that the load uses about half of."""
    base = problem(Spot("both", "h100", 8))
    parts = [(demand.workflow, llm) for demand in base.demands for llm in demand.llms]
    specs = {llm.name: llm for llm in base.llms}
    demands, known, responses = [], [], {}
    for index in range(llms):
        workflow, part = parts[index % len(parts)]
        name = f"{part.llm}-{index // len(parts)}"
        demands.append(msgspec.structs.replace(part, llm=name))
        known.append(msgspec.structs.replace(specs[part.llm], name=name))
        responses[name, "w"] = base.responses[part.llm, workflow]
    demand = msgspec.structs.replace(base.demands[0], workflow="w", llms=tuple(demands))
    one = replace(
        base,
        pipeline=Pipeline((demand,), (Target(workflow="w", rate=1.0),), responses),
        llms=tuple(known),
        cluster=cluster(gpus, "h100"),
        share_step=share_step,
    )
    return half_used(one)


def half_used(one: Problem) -> Problem:
    needed = sum(
        flow.rate / one.responses[llm.name, flow.target.workflow].whole[1].max_throughput
        for llm in one.needed_llms
        for flow in one.pipeline.flows(llm.name)
    )
    return one.scaled(USED * one.cluster.gpus / needed)


def rows(most_gpus: int) -> Iterator[Row]:
    systems = [
        System(OURS, searched),
        *(system for system in SYSTEMS if system.name in NAMES[1:]),
    ]
    for llms in LLMS:
        slow: set[str] = set()
        for gpus in (count for count in GPUS if count <= most_gpus):
            for share_step in STEPS:
                one = of_size(llms, gpus, share_step)
                for system in systems:
                    by_hand = system.name.startswith("user") and llms > MOST_BY_HAND
                    other_step = share_step != STEPS[0] and system.name != OURS
                    if by_hand or other_step or system.name in slow:
                        continue
                    row = timed(lambda: system.strategy(one), system.name, one)  # noqa: B023
                    if row.seconds > LIMIT:
                        slow.add(system.name)
                    yield row


def confirmed(most_gpus: int) -> Iterator[Row]:
    """The evaluation's five LLMs, with what `scepsy plan` does after the search: the best few plans
    are replayed and simulated with the traced runs.
    """
    for gpus in (count for count in GPUS if count <= min(most_gpus, MOST_CONFIRMED)):
        one, known = half_used(problem(Spot("both", "h100", gpus))), traces("both", "h100", gpus)
        yield timed(lambda: decide(one, known, SimulationOptions()), CONFIRMED, one)  # noqa: B023


def timed(strategy: Callable[[], object], name: str, one: Problem) -> Row:
    """Twice, where once does not take too long."""
    seconds: list[float] = []
    while not seconds or (len(seconds) < 2 and seconds[0] < LIMIT):
        began = time.process_time()
        found = not isinstance(strategy(), Infeasible)
        seconds.append(time.process_time() - began)
    llms, gpus = len(one.needed_llms), one.cluster.gpus
    return Row(llms, gpus, one.share_step, name, seconds[0], seconds[-1], found)


def searched(one: Problem) -> Placement | Infeasible:
    """Our search and placement; there are no traces of these problems to simulate it with."""
    chosen = allocate_with_contention(one).outcome
    return chosen if isinstance(chosen, Infeasible) else chosen.placement


def write(found: Sequence[dict[str, Any]], out: Path) -> None:
    """All three files."""
    text = ",\n".join(map(json.dumps, found))
    (out / "e3.json").write_text(f"[\n{text}\n]\n")
    beside = ROOT / "docs" / "evaluation" / PEERS
    told = json.loads(beside.read_text()) if beside.is_file() else []
    (out / "e3.md").write_text(report(found, told))
    points = {
        system: [
            (row["gpus"], row["seconds"])
            for row in found
            if (row["system"], row["llms"], row["share_step"]) == (system, SHOWN, STEPS[0])
        ]
        for system in (*NAMES, CONFIRMED)
    }
    title = f"Planning {SHOWN} LLMs"
    lines(title, ("GPUs", "CPU seconds"), points, out / "e3.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most-gpus", type=int, default=max(GPUS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found: list[dict[str, Any]] = []
    for row in chain(rows(arguments.most_gpus), confirmed(arguments.most_gpus)):
        found.append(asdict(row))
        print(row, flush=True)
    print(f"E3: {time.process_time():.0f} CPU seconds", flush=True)
    write(found, arguments.out)


if __name__ == "__main__":
    main()
