"""E4: two workflows at once. What does each get, and what does one suffer when the other is offered
more than was planned for?

    .venv/bin/python experiments/e4_fairness.py [--small] [--out DIR]

Writes e4.json, rows `{case, gpus, system, load, workflow, rate, latency_mean, latency_p99, alone,
slowdown, suffered, carried, placement}`, e4.md and e4.svg.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from evaluation import parallel
from evaluation.deployed import described
from evaluation.measure import Offered, measured
from evaluation.pictures import bars
from evaluation.points import alone
from evaluation.problems import Spot, highest, problem
from evaluation.stored import stored
from evaluation.systems import SYSTEMS, placement_at

from scepsy.core.plan import Infeasible

ROOT = Path(__file__).parent.parent
PART = 0.6
"""Of the highest rate for which we find a plan: what all plan for."""
OVERLOAD = 3.0
"""One workflow gets so many times what was planned for."""
SECONDS = 120.0
NAMES = (
    *("Scepsy", "HPA", "user-specified, best", "Aegaeon", "Ayo", "independent sizing"),
    *("MuxServe, whole groups", "HexGen-Flow on HPA", "Scepsy + HexGen-Flow"),
)
CASES = (("both", 8), ("shared", 4), ("shared", 8))


class Asked(NamedTuple):
    spot: Spot
    system: str
    seconds: float

    def __str__(self) -> str:
        return f"{' '.join(map(str, self.spot))} {self.system}"


@dataclass(frozen=True, slots=True)
class Row:
    """`load` is "planned", or the workflow that gets `OVERLOAD` times its rate. `alone` is the mean
    latency of a run alone on one replica of each LLM, `slowdown` the measured one over it,
    `suffered` over that at the planned load. `carried`: latency does not grow.
    """

    case: str
    gpus: int
    system: str
    load: str
    workflow: str
    rate: float
    latency_mean: float | None = None
    latency_p99: float | None = None
    alone: float = 0.0
    slowdown: float | None = None
    suffered: float | None = None
    carried: bool = False
    placement: str = ""


@stored
def rows_of(asked: Asked) -> list[Row]:
    one = problem(asked.spot)
    scale = PART * highest(asked.spot)
    system = next(of for of in SYSTEMS if of.name == asked.system)
    deployed = placement_at(system, one, scale)
    traced = alone(asked.spot)
    case, _, gpus = asked.spot
    found: list[Row] = []
    before: dict[str, float] = {}
    names = [target.workflow for target in one.targets]
    for load in ("planned", *names):
        if isinstance(deployed, Infeasible):
            found += [
                Row(case, gpus, system.name, load, name, 0.0, placement=deployed.reason)
                for name in names
            ]
            continue
        offered = Offered(asked.seconds, factors=((load, OVERLOAD),))
        result = measured(one, scale, deployed, system.policy(one), offered)
        for name, of in sorted(result.workflows.items()):
            mean = of.latency.mean
            before.setdefault(name, mean)
            found.append(
                Row(
                    case,
                    gpus,
                    system.name,
                    load,
                    name,
                    of.offered_rate,
                    mean,
                    of.latency.p99,
                    traced[name],
                    mean / traced[name],
                    mean / before[name],
                    result.sustained(name),
                    described(deployed),
                )
            )
    return found


def report(rows: Sequence[Row]) -> str:
    lines: list[str] = []
    for case, gpus in dict.fromkeys((row.case, row.gpus) for row in rows):
        own = [row for row in rows if (row.case, row.gpus) == (case, gpus)]
        flows = list(dict.fromkeys(row.workflow for row in own))
        lines += [
            f"## {case}, {gpus} x H100\n",
            f"| system | {' | '.join(f'{name}: mean, s (x alone)' for name in flows)} | "
            + " | ".join(
                f"{other}, when {name} gets {OVERLOAD:g} x"
                for name in flows
                for other in flows
                if other != name
            )
            + " | placement |",
            "|---" * (2 * len(flows) + 2) + "|",
        ]
        for system in dict.fromkeys(row.system for row in own):
            mine = {(row.load, row.workflow): row for row in own if row.system == system}
            cells = [_planned(mine["planned", name]) for name in flows]
            cells += [
                _suffered(mine[name, other]) for name in flows for other in flows if other != name
            ]
            lines.append(
                f"| {system} | {' | '.join(cells)} | {mine['planned', flows[0]].placement} |"
            )
        lines.append("")
    return "\n".join(lines)


def _planned(row: Row) -> str:
    if row.latency_mean is None:
        return "-"
    text = f"{row.latency_mean:.3g} ({row.slowdown:.2f} x)"
    return text if row.carried else f"{text} *overloaded*"


def _suffered(row: Row) -> str:
    return "-" if row.suffered is None else f"{row.latency_mean:.3g} ({row.suffered:.2f} x)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="for CI")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    cases, names = (CASES[1:2], NAMES[:2]) if arguments.small else (CASES, NAMES)
    spots = [Spot(case, "h100", gpus) for case, gpus in cases]
    parallel.run("E4, profiles", problem, [Spot(case, "h100", 8) for case, _ in cases[:2]])
    seconds = 20.0 if arguments.small else SECONDS
    jobs = [Asked(spot, name, seconds) for spot in spots for name in names]
    found = [row for of in parallel.run("E4", rows_of, jobs) for row in of]
    text = ",\n".join(json.dumps(asdict(row)) for row in found)
    (arguments.out / "e4.json").write_text(f"[\n{text}\n]\n")
    (arguments.out / "e4.md").write_text(report(found))
    bars(
        "What a workflow suffers (x its mean latency) when the other gets 3 x what was planned",
        {
            f"{row.case} {row.gpus}: {row.workflow}, {row.system}": row.suffered
            for row in found
            if row.load not in ("planned", row.workflow) and row.suffered is not None
        },
        arguments.out / "e4.svg",
    )


if __name__ == "__main__":
    main()
