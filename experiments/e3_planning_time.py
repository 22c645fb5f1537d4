"""E3: how long planning takes, against the number of LLMs, of GPUs, and the grain of GPU shares,
beside our implementations of others' strategies on the same problems.

    .venv/bin/python experiments/e3_planning_time.py [--most-gpus N] [--out DIR]

Writes e3.json, rows `{llms, gpus, share_step, system, seconds, found}`, CPU seconds of one call,
and e3.md. The problems are the LLMs of the evaluation over and over, under names of their own.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
from evaluation.problems import Spot, problem
from evaluation.systems import SYSTEMS
from evaluation.tracing import cluster

from scepsy.core.plan import Placement, Target
from scepsy.problem import Problem

ROOT = Path(__file__).parent.parent
NAMES = ("Scepsy", "HPA", "user-specified, best", "independent sizing", "MuxServe", "AlpaServe")
LLMS, GPUS, STEPS = (2, 5, 10, 20), (8, 16, 64, 256, 1024), (0.1, 0.05)
MOST_BY_HAND = 5
"""LLMs beyond which nobody enumerates splits by hand: their number grows exponentially."""
USED = 0.5
"""Of the GPUs, roughly, by the load."""


@dataclass(frozen=True, slots=True)
class Row:
    llms: int
    gpus: int
    share_step: float
    system: str
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
        demands=(demand,),
        targets=(Target(workflow="w", rate=1.0),),
        responses=responses,
        llms=tuple(known),
        cluster=cluster(gpus, "h100"),
        share_step=share_step,
    )
    needed = sum(
        flow.rate / response.whole[1].max_throughput
        for (llm, _), response in responses.items()
        for flow in one.pipeline.flows(llm)
    )
    return one.scaled(USED * gpus / needed)


def rows(most_gpus: int) -> Iterator[Row]:
    systems = [system for system in SYSTEMS if system.name in NAMES]
    for llms in LLMS:
        for gpus in (count for count in GPUS if count <= most_gpus):
            for share_step in STEPS:
                one = of_size(llms, gpus, share_step)
                for system in systems:
                    by_hand = system.name.startswith("user") and llms > MOST_BY_HAND
                    if by_hand or (share_step != STEPS[0] and system.name != "Scepsy"):
                        continue
                    began = time.process_time()
                    found = isinstance(system.strategy(one), Placement)
                    took = time.process_time() - began
                    yield Row(llms, gpus, share_step, system.name, took, found)


def report(found: Sequence[Row]) -> str:
    columns = list(dict.fromkeys((row.system, row.share_step) for row in found))
    heads = [f"{name}, share step {step:g}" if name == "Scepsy" else name for name, step in columns]
    lines = [f"| LLMs | GPUs | {' | '.join(heads)} |", "|---" * (2 + len(columns)) + "|"]
    for size in dict.fromkeys((row.llms, row.gpus) for row in found):
        of = {
            (row.system, row.share_step): f"{row.seconds:.3g} s" + ("" if row.found else " (none)")
            for row in found
            if (row.llms, row.gpus) == size
        }
        cells = " | ".join(of.get(column, "-") for column in columns)
        lines.append(f"| {size[0]} | {size[1]} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most-gpus", type=int, default=max(GPUS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = []
    for row in rows(arguments.most_gpus):
        found.append(row)
        print(row, flush=True)
    text = ",\n".join(json.dumps(asdict(row)) for row in found)
    (arguments.out / "e3.json").write_text(f"[\n{text}\n]\n")
    (arguments.out / "e3.md").write_text(report(found))


if __name__ == "__main__":
    main()
