"""E4: two workflows at once. What does each lose to the other, and what does one suffer when the
other is offered more than was planned for?

    .venv/bin/python experiments/e4_fairness.py [--small] [--out DIR]

Each system decides once, for both workflows at `PART` of the highest rate. On what it decides run:
each workflow alone, both together, and both with one of them at `OVERLOAD` times its rate. Writes
e4.json, rows as `Row` says, e4.md and e4.svg.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from evaluation import parallel
from evaluation.deployed import described
from evaluation.dots import dots
from evaluation.fairness import ALONE, TOGETHER, panels, report
from evaluation.measure import SUSTAINED
from evaluation.orders import equal_parts, first_come
from evaluation.points import length
from evaluation.problems import Spot, highest, problem
from evaluation.stored import stored
from evaluation.systems import SYSTEMS, System, placement_at
from evaluation.tables import OURS
from evaluation.together import Seen, lost, served

from scepsy.core.plan import Infeasible
from scepsy.planning.problem import Problem
from scepsy.sim.cluster.simulation import Policy
from scepsy.statistics.quantiles import quantile
from scepsy.traces.latency_trend import latency_growth

ROOT = Path(__file__).parent.parent
PART = 0.6
"""Of the highest rate for which we find a plan: what all plan for."""
OVERLOAD = 3.0
CALLS = 30_000
"""With both at their planned rates, at most."""
ORDERS: Mapping[str, Callable[[Problem], Policy | None]] = {
    "Scepsy, first come": first_come,
    "Scepsy, equal parts": equal_parts,
}
"""Our plan with another order of the calls that wait."""
NAMES = (OURS, "HPA", "user-specified, best", "MuxServe, whole groups")
CASES = (("shared", 4), ("shared", 8), ("both", 8))


class Asked(NamedTuple):
    spot: Spot
    system: str
    calls: int

    def __str__(self) -> str:
        return f"{' '.join(map(str, self.spot))} {self.system}"


@dataclass(frozen=True, slots=True)
class Row:
    """What one workflow had under one load: "alone", "together" or the workflow that gets
    `OVERLOAD` times its rate. Seconds.

    `slowdown` is the mean latency over that alone at the planned rate, +- `within` (95%, over the
    same runs; none for who is offered more); `slowdown_p999` is a quantile of the runs' own. `wait`
    is the longest of any call for its first token. `carried`: latency does not grow.
    """

    case: str
    gpus: int
    system: str
    load: str
    workflow: str
    runs: int
    latency_mean: float
    latency_p99: float
    slowdown: float
    within: float | None
    slowdown_p999: float | None
    wait: float
    carried: bool
    placement: str


@stored
def rows_of(asked: Asked) -> list[Row]:
    """No rows where the system has no placement."""
    one, scale = problem(asked.spot), PART * highest(asked.spot)
    system = next(of for of in SYSTEMS if of.name == asked.system)
    deployed = placement_at(system, one, scale)
    if isinstance(deployed, Infeasible):
        return []
    seconds = length(asked.spot, scale, asked.calls)
    rates = {target.workflow: target.rate * scale for target in one.targets}
    offers = {TOGETHER: rates} | {name: rates | {name: OVERLOAD * rates[name]} for name in rates}
    found: list[Row] = []
    for name, policy in _orders(system, one).items():
        loads = {
            load: served(one, deployed, policy(one), offered, seconds)
            for load, offered in offers.items()
        }
        alone = {
            flow: served(one, deployed, policy(one), {flow: rate}, seconds)[flow]
            for flow, rate in rates.items()
        }
        told = asked.spot, name, described(deployed)
        found += [
            _row(told, load, flow, runs, alone[flow])
            for load, of in ({ALONE: alone} | loads).items()
            for flow, runs in of.items()
        ]
    return found


def _orders(system: System, one: Problem) -> Mapping[str, Callable[[Problem], Policy | None]]:
    """By name: the system's own; and the others on our plan, where workflows share an LLM."""
    own = {system.name: system.policy}
    called = [part.llm for demand in one.demands for part in demand.llms]
    return own | ORDERS if system.name == OURS and len(called) > len(set(called)) else own


def _row(
    told: tuple[Spot, str, str],
    load: str,
    workflow: str,
    runs: Sequence[Seen],
    alone: Sequence[Seen],
) -> Row:
    spot, system, placement = told
    latencies = sorted(run.latency for run in runs)
    slowdown, within, worst = fmean(latencies) / fmean(run.latency for run in alone), None, None
    if load != workflow:
        slowdown, within = lost(runs, alone)
        pairs = zip(runs, alone, strict=True)
        worst = quantile(sorted(a.latency / b.latency for a, b in pairs), 0.999)
    return Row(
        case=spot.case,
        gpus=spot.gpus,
        system=system,
        load=load,
        workflow=workflow,
        runs=len(runs),
        latency_mean=fmean(latencies),
        latency_p99=quantile(latencies, 0.99),
        slowdown=slowdown,
        within=within,
        slowdown_p999=worst,
        wait=max(run.waited for run in runs),
        carried=1 / (1 + latency_growth(runs)) >= SUSTAINED,
        placement=placement,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="for CI")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    cases, calls = (CASES[:1], 4_000) if arguments.small else (CASES, CALLS)
    spots = [Spot(case, "h100", gpus) for case, gpus in cases]
    parallel.run("E4, profiles", highest, list({spot.case: spot for spot in spots}.values()))
    jobs = [Asked(spot, name, calls) for name in NAMES for spot in spots]
    rows = [row for of in parallel.run("E4", rows_of, jobs) for row in of]
    found = [asdict(row) for row in sorted(rows, key=lambda row: cases.index((row.case, row.gpus)))]
    text = ",\n".join(map(json.dumps, found))
    (arguments.out / "e4.json").write_text(f"[\n{text}\n]\n")
    (arguments.out / "e4.md").write_text(report(found))
    title = "Mean latency of a workflow over that when it has the same deployment alone"
    dots(title, panels(found), arguments.out / "e4.svg")


if __name__ == "__main__":
    main()
