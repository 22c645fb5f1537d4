"""E6: how much does our plan lose against the plan with perfect knowledge, when what it knows is
wrong or the load is not what it was planned for?

    .venv/bin/python experiments/e6_sensitivity.py [--small] [--out DIR]

Plans are made from distorted profiles, by the pipeline alone, and judged in the simulator, which
knows better. Writes e6.json, rows as `Row` says, e6.md and e6.svg.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from evaluation import parallel
from evaluation.deployed import described
from evaluation.dots import dots
from evaluation.measure import Measured as Found
from evaluation.measure import Offered, measured, over
from evaluation.points import length
from evaluation.problems import Spot, highest, problem
from evaluation.regret import NOTHING, panels, report
from evaluation.stored import stored

from scepsy.core.plan import Infeasible, Placement
from scepsy.planning.planner import allocate, allocate_with_contention
from scepsy.planning.problem import Problem
from scepsy.predict.response import Measured, Response

ROOT = Path(__file__).parent.parent
GPUS, GPU_TYPE = 8, "h100"
CASES = ("beam_search", "rag", "both", "coding")
PARTS = (0.4, 0.7)
"""Of the highest rate for which we find a plan."""
CVS = (1.0, 2.0, 4.0)
CALLS = 250_000
NO_CONTENTION = "contention expected, and there is none"
Responses = Mapping[tuple[str, str], Response]


class Asked(NamedTuple):
    case: str
    part: float
    cvs: tuple[float, ...]
    calls: int

    def __str__(self) -> str:
        return f"{self.case} at {self.part:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """Latency is the sum of the workflows' means, in seconds; `regret` is relative to the plan that
    knows the truth (`knowing`), under the same runs, +- `within` (95%), and `hindsight` to the best
    of all plans that were tried under that load. None where the distorted problem has no plan.
    `carried`: latency does not grow.
    """

    case: str
    part: float
    wrong: str
    cv: float
    latency_mean: float | None
    regret: float | None
    within: float | None
    hindsight: float | None
    carried: bool
    placement: str
    knowing: str


def slower(one: Measured, factor: float) -> Measured:
    """A replica that is thought to be `factor` times as slow at everything."""
    return replace(one, latency=one.latency * factor, max_throughput=one.max_throughput / factor)


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


def believing(one: Problem, responses: Responses) -> Problem:
    """The problem with other curves."""
    return replace(one, pipeline=replace(one.pipeline, responses=responses))


def distorted(one: Problem) -> Iterator[tuple[str, Problem]]:
    """What the planner believes, by what is wrong with it."""
    yield NOTHING, one
    names = [llm.name for llm in one.needed_llms]
    for name in names:
        for factor in (0.8, 1.2):
            wrong = off_by(one.responses, {name: factor})
            yield (
                f"{name} {factor - 1:+.0%}",
                believing(one, wrong),
            )
    everything = off_by(one.responses, dict.fromkeys(names, 1.2))
    yield "all LLMs +20%", believing(one, everything)
    for error in (-0.3, 0.3):
        wrong = shares_off_by(one.responses, error)
        yield (
            f"parts of GPUs {error:+.0%}",
            believing(one, wrong),
        )
    for error in (-0.2, 0.3):
        yield f"rates {error:+.0%}", one.scaled(1 + error)


@stored
def rows_of(asked: Asked) -> list[Row]:
    spot = Spot(asked.case, GPU_TYPE, GPUS)
    unscaled = problem(spot)
    scale = asked.part * highest(spot)
    truth = unscaled.scaled(scale)
    knowing, ignoring = allocate_with_contention(truth).outcome, allocate(truth)
    assert not isinstance(ignoring, Infeasible)  # `highest` is the highest for which it is not
    best = (ignoring if isinstance(knowing, Infeasible) else knowing).placement
    plans = [
        (wrong, allocate_with_contention(believed).outcome, best)
        for wrong, believed in distorted(truth)
    ]
    plans.append(("contention ignored", ignoring, best))
    if ignoring.placement != best:
        plans.append((NO_CONTENTION, knowing, ignoring.placement))
    seconds = length(spot, scale, asked.calls)
    known: dict[Offered, dict[Placement, Found]] = {}

    def seen(placement: Placement, offered: Offered) -> Found:
        of = known.setdefault(offered, {})
        if placement not in of:
            of[placement] = measured(unscaled, scale, placement, None, offered)
        return of[placement]

    tried = [
        (wrong, chosen, best, Offered(seconds, cv, contention=wrong != NO_CONTENTION))
        for wrong, chosen, best in plans
        for cv in asked.cvs
    ]
    for _, chosen, _, offered in tried:
        if not isinstance(chosen, Infeasible):
            seen(chosen.placement, offered)
    found: list[Row] = []
    for wrong, chosen, best, offered in tried:
        told, truly = (asked.case, asked.part, wrong, offered.cv), described(best)
        if isinstance(chosen, Infeasible):
            found.append(Row(*told, None, None, None, None, False, chosen.reason, truly))
            continue
        mine = seen(chosen.placement, offered)
        regret, within = over(mine, seen(best, offered))
        least = min(one.total for one in known[offered].values())
        carried = all(map(mine.sustained, mine.workflows))
        figures = mine.total, regret, within, mine.total / least - 1, carried
        found.append(Row(*told, *figures, described(chosen.placement), truly))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="for CI")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    cases = ("rag",) if arguments.small else CASES
    parallel.run("E6, profiles", highest, [Spot(case, GPU_TYPE, GPUS) for case in cases])
    cvs, calls = (CVS[:2], 5_000) if arguments.small else (CVS, CALLS)
    jobs = [Asked(case, part, cvs, calls) for case in cases for part in PARTS]
    found = [asdict(row) for of in parallel.run("E6", rows_of, jobs) for row in of]
    text = ",\n".join(map(json.dumps, found))
    (arguments.out / "e6.json").write_text(f"[\n{text}\n]\n")
    (arguments.out / "e6.md").write_text(report(found))
    title = "Mean latency over that of the plan that knows the truth, where it is another plan"
    dots(title, panels(found), arguments.out / "e6.svg")


if __name__ == "__main__":
    main()
