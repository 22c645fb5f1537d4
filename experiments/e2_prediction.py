"""E2: what pipeline, replay and simulator predict of the same plans, against what was observed.

    .venv/bin/python experiments/e2_prediction.py [--small] [--demo DIR...] [--out DIR]

Observed: the evaluation's programs in simulated time, in runs that no predictor knows (which checks
all but step times); with `--demo`, finished demos on emulated engines; and real vLLM engines, as
transfer.json has them. Writes e2.json, e2.md and e2.svg; where no demo is given, the file's rows of
demos stay.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from evaluation import parallel
from evaluation.agreement import report
from evaluation.measure import Offered, measured
from evaluation.pictures import agreement
from evaluation.problems import Spot, highest, problem, traces

from scepsy.core.plan import Infeasible
from scepsy.core.trace import Trace
from scepsy.planning.planner import shortlist
from scepsy.planning.problem import Problem
from scepsy.planning.shortlist import ShortlistEntry, entry_of
from scepsy.planning.simulation import SimulationOptions, draft, loads
from scepsy.predict import Pipeline, recordings, responses
from scepsy.sim.cluster.deployment import roofline
from scepsy.sim.results.paired_trials import Trial, trial
from scepsy.sim.results.study import recorded_workflows
from scepsy.statistics.quantiles import quantile
from scepsy.store import read_plan, read_profile, read_traces

ROOT = Path(__file__).parent.parent
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
SMALL = (Spot("research", "h100", 8),)
FULL = tuple(Spot(case, "h100", 8) for case in ("beam_search", "rag", "both", "research"))
PARTS = (0.2, 0.5, 0.8)
"""Of the highest rate for which we find a plan."""
LATENCIES, CALLS = 12.0, 40_000
"""Runs are observed for so many times their latency, for at most so many calls."""

Figures = dict[str, dict[str, float | None]]
"""By workflow and statistic: seconds."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one workflow under one plan. Seconds; `error` is relative to what was observed.
    `load` is the part of the highest rate; `sustained`: whether the load was carried.
    """

    case: str
    workflow: str
    plan: str
    load: float
    predictor: str
    statistic: str
    predicted: float
    observed: float
    error: float
    sustained: bool = True


def simulated(spot: Spot) -> list[Row]:
    """The first and the last plan of the shortlist at each rate."""
    found: list[Row] = []
    for part in PARTS:
        at = problem(spot).scaled(part * highest(spot))
        known = traces(spot.case, spot.gpu_type)
        listed = shortlist(at, recordings(known))
        if isinstance(listed, Infeasible):
            continue
        for name, entry in (("first", listed.entries[0]), ("last", listed.entries[-1])):
            offered = loads(entry, at, CALLS)
            seconds = min(runs / rate for rate, runs in offered.values())
            seen = measured(at, 1.0, entry.placement, None, Offered(seconds))
            observed = {flow: _figures(of) for flow, of in seen.latencies.items()}
            carried = all(map(seen.sustained, seen.latencies))
            told = f"{spot.case}, {spot.gpus} GPUs", name, part
            for predictor, said in predictions(entry, at, known, 1.0).items():
                found += _rows(told, predictor, said, observed, carried)
    return found


def demo(folder: Path) -> Iterator[Row]:
    """A finished demo: its plan, by all predictors, and what was measured."""
    plan, known = read_plan(folder / "plan.json"), read_traces(folder / "traces").traces
    wanted = {target.workflow for target in plan.targets}
    known = tuple(trace for trace in known if trace.workflow in wanted)
    curves = read_profile(folder / "profile.json").curves
    llms, at = plan.llms, responses(curves)
    one = Problem(Pipeline(plan.demands, plan.targets, at), llms, plan.cluster, 0.1)
    entry = entry_of(one, recordings(known), plan.allocation, plan.placement)
    summary = json.loads((folder / "summary.json").read_text())
    observed: Figures = {
        flow["workflow"]: {
            "mean": flow["measured"]["latency_mean"],
            "p50": flow["measured"]["latency_p50"],
            "p99": flow["measured"]["latency_p99"],
        }
        for flow in summary["workflows"]
    }
    for predictor, said in predictions(entry, one, known, plan.time_scale).items():
        told = f"demo, seed {summary['seed']}", "chosen", 1.0
        yield from _rows(told, predictor, said, observed)


def predictions(
    entry: ShortlistEntry, one: Problem, known: Sequence[Trace], speed: float
) -> dict[str, Figures]:
    """By predictor."""
    found = {
        name: {
            flow.workflow: {
                "mean": flow.latency_mean,
                "p50": flow.latency_p50,
                "p90": flow.latency_p90,
                "p99": flow.latency_p99,
            }
            for flow in prediction.workflows
        }
        for name, prediction in (("pipeline", entry.pipeline), ("replay", entry.replay))
    }
    offered = loads(entry, one, SimulationOptions().calls)
    workflows = recorded_workflows(known, offered, 0)
    seen = trial(draft(entry, one, speed), workflows, offered, roofline)
    if isinstance(seen, Trial):
        found["sim"] = {flow: _figures(of) for flow, of in seen.latencies.items()}
    return found


def transfer(path: Path) -> Iterator[Row]:
    """What real engines did, and what was predicted of them."""
    for row in json.loads(path.read_text())["rows"]:
        for predictor in ("pipeline", "replay", "sim"):
            name = f"latency_{predictor}"
            predicted = row.get(name, row["latency_predicted"] if predictor == "pipeline" else None)
            if predicted is not None:
                told = "vLLM on CPUs", "chosen", row["load"]
                observed: Figures = {"revise": {"mean": row["latency_observed"]}}
                yield from _rows(told, predictor, {"revise": {"mean": predicted}}, observed)


def _rows(
    told: tuple[str, str, float],
    predictor: str,
    said: Mapping[str, Mapping[str, float | None]],
    observed: Figures,
    carried: bool = True,
) -> Iterator[Row]:
    case, plan, load = told
    for workflow, seen in observed.items():
        for statistic, value in seen.items():
            predicted = said[workflow].get(statistic)
            if predicted is not None and value and predicted < float("inf"):
                error = predicted / value - 1
                figures = (predictor, statistic, predicted, value, error, carried)
                yield Row(case, workflow, plan, load, *figures)


def _figures(latencies: Sequence[float]) -> dict[str, float | None]:
    ranked = sorted(latencies)
    return {"mean": fmean(ranked)} | {name: quantile(ranked, q) for name, q in QUANTILES.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="one workflow, for CI")
    parser.add_argument("--demo", type=Path, nargs="+", default=[], help="finished demos' folders")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "e2.json"
    before = json.loads(path.read_text()) if path.is_file() else []
    demos = [asdict(row) for folder in arguments.demo for row in demo(folder)]
    kept = demos or [row for row in before if row["case"].startswith("demo")]
    done = parallel.run("E2", simulated, SMALL if arguments.small else FULL)
    real = transfer(ROOT / "docs" / "evaluation" / "transfer.json")
    rows = [*(asdict(row) for of in done for row in of), *kept, *map(asdict, real)]
    path.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    (arguments.out / "e2.md").write_text(report(rows))
    agreement(rows, arguments.out / "e2.svg")


if __name__ == "__main__":
    main()
