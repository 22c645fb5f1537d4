"""E6: how much does our plan lose against the plan with perfect knowledge, when what it knows is
wrong or the load is not what it was planned for?

    .venv/bin/python experiments/e6_sensitivity.py [--small] [--out DIR]

Plans are made from distorted profiles, by the pipeline alone, and judged in the simulator, which
knows better. Writes e6.json, rows `{case, part, wrong, cv, seed, latency_mean, regret, placement}`,
and e6.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from evaluation import parallel
from evaluation.deployed import described
from evaluation.measure import Offered, measured
from evaluation.pictures import bars
from evaluation.points import length
from evaluation.problems import Spot, highest, problem
from evaluation.stored import stored

from scepsy.core.plan import Infeasible, Placement
from scepsy.predict.response import Measured, Response
from scepsy.problem import Problem

ROOT = Path(__file__).parent.parent
GPUS, GPU_TYPE = 8, "h100"
CASES = ("beam_search", "rag", "both", "coding")
PARTS = (0.4, 0.7)
"""Of the highest rate for which we find a plan."""
CVS = (1.0, 2.0, 4.0)
SEEDS = (2, 4)
CALLS = 40_000
NO_CONTENTION = "contention expected, and there is none"
Responses = Mapping[tuple[str, str], Response]


class Asked(NamedTuple):
    case: str
    part: float
    cvs: tuple[float, ...]
    seeds: tuple[int, ...]
    calls: int

    def __str__(self) -> str:
        return f"{self.case} at {self.part:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """Latency is the sum of the workflows' means, in seconds; `regret` is relative to the plan that
    knows the truth, under the same load. None where the distorted problem has no plan.
    """

    case: str
    part: float
    wrong: str
    cv: float
    seed: int
    latency_mean: float | None
    regret: float | None
    placement: str


def slower(one: Measured, factor: float) -> Measured:
    """A replica that is thought to be `factor` times as slow at everything."""
    return replace(
        one,
        latency=one.latency * factor,
        max_throughput=one.max_throughput / factor,
        step=one.step * factor,
    )


def changed(response: Response, factor: Callable[[float], float]) -> Response:
    """Each replica as many times as slow as `factor` says of its share of a GPU."""
    return Response(
        whole={tp: slower(one, factor(1.0)) for tp, one in response.whole.items()},
        fractions={
            tp: [(share, slower(one, factor(share))) for share, one in found]
            for tp, found in response.fractions.items()
        },
    )


def off_by(responses: Responses, factors: Mapping[str, float]) -> dict[tuple[str, str], Response]:
    """Each LLM's curves at every size off by its factor."""
    return {
        (llm, workflow): changed(response, lambda _, llm=llm: factors.get(llm, 1.0))
        for (llm, workflow), response in responses.items()
    }


def shares_off_by(responses: Responses, error: float) -> dict[tuple[str, str], Response]:
    """Parts of GPUs thought to be (1 + error) times as slow; whole GPUs as they are."""
    return {
        key: changed(response, lambda share: 1.0 + error if share < 1 else 1.0)
        for key, response in responses.items()
    }


def distorted(one: Problem) -> Iterator[tuple[str, Problem]]:
    """What the planner believes, by what is wrong with it."""
    yield "nothing", one
    names = [llm.name for llm in one.needed_llms]
    for name in names:
        for factor in (0.8, 1.2):
            wrong = off_by(one.responses, {name: factor})
            yield f"{name} {factor - 1:+.0%}", replace(one, responses=wrong)
    everything = off_by(one.responses, dict.fromkeys(names, 1.2))
    yield "all LLMs +20%", replace(one, responses=everything)
    for error in (-0.3, 0.3):
        wrong = shares_off_by(one.responses, error)
        yield f"parts of GPUs {error:+.0%}", replace(one, responses=wrong)


@stored
def rows_of(asked: Asked) -> list[Row]:
    spot = Spot(asked.case, GPU_TYPE, GPUS)
    unscaled = problem(spot)
    scale = asked.part * highest(spot)
    truth = unscaled.scaled(scale)
    knowing, ignoring = truth.settled()[1], truth.decide()
    plans = [(wrong, believed.settled()[1], knowing) for wrong, believed in distorted(truth)]
    plans.append(("contention ignored", ignoring, knowing))
    plans.append((NO_CONTENTION, knowing, ignoring))
    seconds = length(spot, scale, asked.calls)
    known: dict[tuple[Placement, Offered], float] = {}

    def total(placement: Placement, offered: Offered) -> float:
        key = placement, offered
        if key not in known:
            known[key] = measured(unscaled, scale, placement, None, offered).total
        return known[key]

    found: list[Row] = []
    for wrong, chosen, best in plans:
        for cv, seed in product(asked.cvs, asked.seeds):
            if isinstance(chosen, Infeasible):
                found.append(Row(*asked[:2], wrong, cv, seed, None, None, chosen.reason))
                continue
            offered = Offered(seconds, cv, seed, contention=wrong != NO_CONTENTION)
            mine = total(chosen.placement, offered)
            bad = isinstance(best, Infeasible)
            regret = None if bad else mine / total(best.placement, offered) - 1
            shown = described(chosen.placement)
            found.append(Row(*asked[:2], wrong, cv, seed, mine, regret, shown))
    return found


def report(found: Sequence[Row]) -> str:
    """Means over seeds; in brackets the range of regrets over them."""
    cvs = list(dict.fromkeys(row.cv for row in found))
    lines = [
        "| case | rate | what is wrong | "
        + " | ".join(f"CV {cv:g}: s | regret" for cv in cvs)
        + " | placement |",
        "|---" * (4 + 2 * len(cvs)) + "|",
    ]
    for case, part, wrong in dict.fromkeys((row.case, row.part, row.wrong) for row in found):
        own = [row for row in found if (row.case, row.part, row.wrong) == (case, part, wrong)]
        cells = [_cell([row for row in own if row.cv == cv]) for cv in cvs]
        where = f"{case} | {part:.0%} | {wrong}"
        lines.append(f"| {where} | {' | '.join(cells)} | {own[0].placement} |")
    return "\n".join(lines) + "\n"


def _cell(rows: Sequence[Row]) -> str:
    seconds = [row.latency_mean for row in rows if row.latency_mean is not None]
    regrets = [row.regret for row in rows if row.regret is not None]
    if not seconds or not regrets:
        return "no plan | -"
    spread = f" ({min(regrets):+.0%} to {max(regrets):+.0%})" if len(regrets) > 1 else ""
    return f"{fmean(seconds):.3g} | {fmean(regrets):+.0%}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="for CI")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    cases = ("rag",) if arguments.small else CASES
    parallel.run("E6, profiles", problem, [Spot(case, GPU_TYPE, GPUS) for case in cases])
    jobs = [Asked(case, part, CVS, SEEDS, CALLS) for case in cases for part in PARTS]
    if arguments.small:
        jobs = [job._replace(cvs=CVS[:2], seeds=SEEDS[:1], calls=5_000) for job in jobs]
    found = [row for of in parallel.run("E6", rows_of, jobs) for row in of]
    text = ",\n".join(json.dumps(asdict(row)) for row in found)
    (arguments.out / "e6.json").write_text(f"[\n{text}\n]\n")
    (arguments.out / "e6.md").write_text(report(found))
    worst = {
        f"{row.case} {row.part:.0%}: {row.wrong}": 1 + (row.regret or 0.0)
        for row in found
        if row.cv == CVS[0] and row.seed == SEEDS[0] and (row.regret or 0.0) > 0.01
    }
    title = "Mean latency over that of the plan which knows the truth, Poisson arrivals"
    bars(title, worst, arguments.out / "e6.svg")


if __name__ == "__main__":
    main()
