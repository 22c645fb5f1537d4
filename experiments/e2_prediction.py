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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

import msgspec
from evaluation import parallel
from evaluation.agreement import report
from evaluation.demo_runs import planned_with
from evaluation.measure import Offered, measured, standard_error
from evaluation.pictures import agreement
from evaluation.problems import Spot, highest, measured_seed, problem, traces

from scepsy.core.plan import Infeasible
from scepsy.core.trace import Trace
from scepsy.planning import uncertainty
from scepsy.planning.planner import shortlist
from scepsy.planning.problem import Problem
from scepsy.planning.shortlist import ShortlistEntry, entry_of
from scepsy.planning.simulated_runs import runs_to_simulate
from scepsy.planning.simulation import SimulationOptions, draft, loads
from scepsy.predict import Pipeline, Recorded, recordings, responses
from scepsy.predict.interval import interval, mean_utilisation
from scepsy.sim.cluster.deployment import roofline
from scepsy.sim.results.paired_trials import Trial, trial
from scepsy.sim.results.study import recorded_workflows
from scepsy.statistics.quantiles import quantile
from scepsy.store import read_plan, read_profile

ROOT = Path(__file__).parent.parent
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
SMALL = (Spot("research", "h100", 8),)
FULL = tuple(
    Spot(case, "h100", gpus)
    for gpus in (16, 8)
    for case in ("beam_search", "both", "rag", "research")
)
PARTS = (0.2, 0.5, 0.8)
"""Of the highest rate for which we find a plan."""
CALLS = 60_000
"""Calls for which runs are observed, about; more where latencies are long or a workflow is rare."""

Figures = dict[str, dict[str, float | None]]
"""By workflow and statistic: seconds."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one workflow under one plan. Seconds; `error` is relative to what was observed.
    `load` is the part of the highest rate; `sustained`: whether the load was carried.

    Only of the mean by replay there are:

    Attributes:
        low, high: the 90% interval, without the part for estimated curves where the observation is
            simulated with the step times that the estimate is made of.
        observed_error: standard error of the observed mean.
        utilisation: of the workflow's LLMs, weighted by time. in_llms: part of the latency in them.
        same_runs, same_runs_error: the mean that a simulation of the traced runs gives, and its
            standard error.
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
    low: float | None = None
    high: float | None = None
    observed_error: float | None = None
    utilisation: float | None = None
    in_llms: float | None = None
    same_runs: float | None = None
    same_runs_error: float | None = None


def simulated(spot: Spot) -> list[Row]:
    """The first and the last plan of the shortlist at each rate."""
    found: list[Row] = []
    known = traces(*spot)
    recorded = recordings(known)
    for part in PARTS:
        at = problem(spot).scaled(part * highest(spot))
        listed = shortlist(at, recorded)
        if isinstance(listed, Infeasible):
            continue
        for name, entry in (("first", listed.entries[0]), ("last", listed.entries[-1])):
            offered = loads(entry, at, CALLS)
            seconds = min(runs / rate for rate, runs in offered.values())
            seed = measured_seed(spot.gpu_type, spot.gpus)
            seen = measured(at, 1.0, entry.placement, None, Offered(seconds, seed=seed))
            observed = {flow: _figures(of) for flow, of in seen.latencies.items()}
            carried = all(map(seen.sustained, seen.latencies))
            told = f"{spot.case}, {spot.gpus} GPUs", name, part
            again = same_runs(entry, at, known, 1.0, CALLS)
            rows = [
                row
                for predictor, said in predictions(entry, again).items()
                for row in _rows(told, predictor, said, observed, carried)
            ]
            errors = {flow: standard_error(of) for flow, of in seen.latencies.items()}
            found += with_intervals(rows, entry, recorded, errors, again, simulated=True)
    return found


def with_intervals(
    rows: Iterable[Row],
    entry: ShortlistEntry,
    recorded: Mapping[str, Recorded],
    errors: Mapping[str, float | None],
    again: Trial | None,
    *,
    simulated: bool,
) -> Iterator[Row]:
    """The rows, of which those of the mean by replay get their interval. `errors` are those of the
    observed means.
    """
    shown = uncertainty.with_intervals(
        entry.replay, entry.problem.pipeline, entry.allocation, recorded
    )
    flows = {flow.workflow: flow for flow in shown.workflows}
    for row in rows:
        flow, error = flows[row.workflow], errors[row.workflow]
        if (row.predictor, row.statistic) != ("replay", "mean") or flow.interval_parts is None:
            yield row
            continue
        parts = flow.interval_parts
        own = msgspec.structs.replace(parts, estimate=0.0) if simulated else parts
        low, high = interval(flow.latency_mean, own)
        latencies = again.latencies[row.workflow] if again is not None else ()
        yield replace(
            row,
            low=low,
            high=high,
            observed_error=error,
            utilisation=mean_utilisation(flow.stages, shown.utilisation),
            in_llms=min(1.0, sum(one.seconds for one in flow.stages) / flow.latency_mean),
            same_runs=fmean(latencies) if latencies else None,
            same_runs_error=standard_error(latencies) if latencies else None,
        )


def demo(folder: Path) -> Iterator[Row]:
    """A finished demo: its plan, by all predictors, and what was measured."""
    plan, known = read_plan(folder / "plan.json"), planned_with(folder)
    curves = read_profile(folder / "profile.json").curves
    llms, at = plan.llms, responses(curves)
    one = Problem(Pipeline(plan.demands, plan.targets, at), llms, plan.cluster, 0.1)
    recorded = recordings(known)
    entry = entry_of(one, recorded, plan.allocation, plan.placement)
    summary = json.loads((folder / "summary.json").read_text())
    observed: Figures = {
        flow["workflow"]: {
            "mean": flow["measured"]["latency_mean"],
            "p50": flow["measured"]["latency_p50"],
            "p99": flow["measured"]["latency_p99"],
        }
        for flow in summary["workflows"]
    }
    again = same_runs(entry, one, known, plan.time_scale, SimulationOptions().calls)
    told = f"demo, seed {summary['seed']}", "chosen", 1.0
    rows = [
        row
        for predictor, said in predictions(entry, again).items()
        for row in _rows(told, predictor, said, observed)
    ]
    errors = {flow["workflow"]: flow["measured"]["standard_error"] for flow in summary["workflows"]}
    yield from with_intervals(rows, entry, recorded, errors, again, simulated=False)


def same_runs(
    entry: ShortlistEntry, one: Problem, known: Sequence[Trace], speed: float, calls: int
) -> Trial | None:
    """A simulation of the traced runs under the plan, of about that many calls; None where an
    engine has no room.
    """
    offered = loads(entry, one, calls)
    counts = {workflow: runs for workflow, (_, runs) in offered.items()}
    workflows = recorded_workflows(runs_to_simulate(known, counts, 0), offered, 0)
    seen = trial(draft(entry, one, speed), workflows, offered, roofline)
    return seen if isinstance(seen, Trial) else None


def predictions(entry: ShortlistEntry, again: Trial | None) -> dict[str, Figures]:
    """By predictor; the simulator's is the simulation of the traced runs."""
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
    if again is not None:
        found["sim"] = {flow: _figures(of) for flow, of in again.latencies.items()}
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
    mean: dict[str, float | None] = {"mean": fmean(ranked)}
    return mean | {name: quantile(ranked, q) for name, q in QUANTILES.items()}


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
