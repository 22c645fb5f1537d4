"""E1: throughput against workflow latency, our plans and those of our implementations of others'
published policies, in the same simulator.

    .venv/bin/python experiments/e1_throughput_latency.py [--small] [--gpus N...] [--gpu-type TYPE]
        [--out DIR]

Writes e1.json (one row per case, GPUs, system, rate and workflow), e1.md (tables) and e1-*.svg.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path

from evaluation.deployed import described
from evaluation.measure import Offered, measured
from evaluation.pictures import draw
from evaluation.problems import highest, problem
from evaluation.systems import OURS, SYSTEMS, System, placement_at
from evaluation.tables import report

from scepsy.core.plan import Infeasible
from scepsy.problem import Problem

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Grid:
    """Cases on GPUs of a type at parts of the highest rate for which we find a plan, for so many
    calls (and at least so many seconds) each.
    """

    gpu_type: str
    cases: Sequence[str]
    gpus: Sequence[int]
    parts: Sequence[float]
    calls: int
    systems: Sequence[str] = tuple(system.name for system in SYSTEMS)


THREE = ("beam_search", "rag", "both")
LARGE = ("Scepsy", "HPA", "user-specified, best", "independent sizing", "MuxServe, whole groups")
SMALL = (Grid("h100", THREE, (4,), (0.3, 0.9), 5_000),)
FULL = (
    Grid("h100", THREE, (4, 8, 16), (0.1, 0.5, 0.9), 10_000),
    Grid("a100", THREE, (4, 8, 16), (0.1, 0.9), 10_000),
    Grid("h100", ("rag",), (64, 256, 1024), (0.5, 0.9), 20_000, LARGE),
)
LEAST_SECONDS = 15.0
SUSTAINED = 0.95


@dataclass(frozen=True, slots=True)
class Row:
    """One workflow of a case under one system. Seconds and runs per second; `latency_*` None and
    `why` given where the system has no placement. `predicted`: our own plan's mean latency.
    """

    case: str
    workflow: str
    gpu_type: str
    gpus: int
    system: str
    part: float
    rate: float
    throughput: float | None = None
    latency_mean: float | None = None
    latency_p99: float | None = None
    runs: int = 0
    sustained: bool = False
    predicted: float | None = None
    placement: str = ""
    why: str = ""


def rows_of(grid: Grid) -> Iterator[Row]:
    """Prints as it goes."""
    systems = [system for system in SYSTEMS if system.name in grid.systems]
    for case in grid.cases if grid.gpus else ():
        per_run = _calls_per_run(problem(case, 8, grid.gpu_type))
        for gpus in grid.gpus:
            one = problem(case, gpus, grid.gpu_type)
            most = highest(one)
            for part in grid.parts:
                scale = part * most
                for system in systems:
                    began = time.perf_counter()
                    seconds = max(LEAST_SECONDS, grid.calls / (per_run * scale))
                    yield from _rows(case, part, one, scale, system, min(seconds, 600.0))
                    took = time.perf_counter() - began
                    print(f"{case} {gpus} {part:g} {system.name}: {took:.1f} s", flush=True)


def _rows(
    case: str, part: float, one: Problem, scale: float, system: System, seconds: float
) -> Iterator[Row]:
    rates = {target.workflow: target.rate * scale for target in one.targets}
    known = {
        "case": case,
        "gpu_type": one.cluster.nodes[0].gpu_type,
        "gpus": one.cluster.gpus,
        "system": system.name,
        "part": part,
    }
    deployed = placement_at(system, one, scale)
    if isinstance(deployed, Infeasible):
        for name, rate in rates.items():
            yield Row(workflow=name, rate=rate, why=deployed.reason, **known)
        return
    results = measured(one, scale, deployed, system.policy(one), Offered(seconds))
    predicted = _predicted(one, scale) if system == OURS else {}
    for name, rate in rates.items():
        result = results[name]
        yield Row(
            workflow=name,
            rate=rate,
            throughput=result.throughput,
            latency_mean=result.latency.mean,
            latency_p99=result.latency.p99,
            runs=result.runs,
            sustained=result.throughput >= SUSTAINED * result.offered_rate,
            predicted=predicted.get(name),
            placement=described(deployed),
            **known,
        )


def _predicted(one: Problem, scale: float) -> Mapping[str, float]:
    settled, chosen = one.scaled(scale).settled()
    if isinstance(chosen, Infeasible):
        return {}
    found = settled.pipeline.predict(chosen.candidate.allocation)
    return {
        flow.workflow: flow.latency_mean for flow in found.workflows if isfinite(flow.latency_mean)
    }


def _calls_per_run(one: Problem) -> float:
    """Calls per unit of scale: runs of each workflow times their calls."""
    rates = {target.workflow: target.rate for target in one.targets}
    return sum(
        rates[demand.workflow] * sum(llm.calls for llm in demand.llms) for demand in one.demands
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few minutes, for CI")
    parser.add_argument("--gpus", type=int, nargs="+", help="only clusters of so many GPUs")
    parser.add_argument("--gpu-type", help="only GPUs of this type")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for grid in SMALL if arguments.small else FULL:
        if arguments.gpu_type not in (None, grid.gpu_type):
            continue
        wanted = [gpus for gpus in grid.gpus if not arguments.gpus or gpus in arguments.gpus]
        for row in rows_of(replace(grid, gpus=wanted)):
            rows.append(row)
            (arguments.out / "e1.json.part").write_text(_json(rows))
    (arguments.out / "e1.json.part").replace(arguments.out / "e1.json")
    (arguments.out / "e1.md").write_text(report(json.loads(_json(rows))))
    draw(json.loads(_json(rows)), arguments.out)


def _json(rows: Sequence[Row]) -> str:
    return "[\n" + ",\n".join(json.dumps(asdict(row)) for row in rows) + "\n]\n"


if __name__ == "__main__":
    main()
