"""E6: how much does our plan lose against the plan with perfect knowledge, when what it knows is
wrong or the load is not what it was planned for?

    .venv/bin/python experiments/e6_sensitivity.py [--out DIR]

Plans are made from distorted profiles and judged in the simulator, which knows better. Writes
e6.json, rows `{case, wrong, cv, latency_mean, regret, placement}`, and e6.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from evaluation.measure import Offered, measured
from evaluation.problems import Spot, highest, problem
from evaluation.tables import described

from scepsy.core.plan import Infeasible, Placement
from scepsy.predict.response import Measured, Response
from scepsy.problem import Problem

ROOT = Path(__file__).parent.parent
GPUS, GPU_TYPE = 8, "h100"
CASES = {"both": 0.6}
"""By case: the part of the highest rate for which we find a plan."""
CVS = (1.0, 2.0, 4.0)
SECONDS = 30.0
Responses = Mapping[tuple[str, str], Response]


@dataclass(frozen=True, slots=True)
class Row:
    """Latency is the sum of the workflows' means, in seconds; `regret` is relative to the plan that
    knows the truth, under the same load. None where the distorted problem has no plan.
    """

    case: str
    wrong: str
    cv: float
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


def off_by(responses: Responses, factors: Mapping[str, float]) -> dict[tuple[str, str], Response]:
    """Each LLM's curves at every size off by its factor."""
    return {
        (llm, workflow): Response(
            whole={tp: slower(one, factors.get(llm, 1.0)) for tp, one in response.whole.items()},
            fractions=[
                (share, slower(one, factors.get(llm, 1.0))) for share, one in response.fractions
            ],
        )
        for (llm, workflow), response in responses.items()
    }


def shares_off_by(responses: Responses, error: float) -> dict[tuple[str, str], Response]:
    """Parts of GPUs thought to be (1 + error) times as slow; whole GPUs as they are."""
    return {
        key: Response(
            whole=response.whole,
            fractions=[
                (share, slower(one, 1.0 + error if share < 1 else 1.0))
                for share, one in response.fractions
            ],
        )
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


def rows() -> Iterator[Row]:
    for case, part in CASES.items():
        spot = Spot(case, GPU_TYPE, GPUS)
        unscaled = problem(spot)
        scale = part * highest(spot)
        truth = unscaled.scaled(scale)
        plans = [(wrong, believed.settled()[1]) for wrong, believed in distorted(truth)]
        plans.append(("contention ignored", truth.decide()))
        known: dict[Placement, dict[float, float]] = {}
        best: dict[float, float] = {}
        for wrong, chosen in plans:
            for cv in CVS:
                if isinstance(chosen, Infeasible):
                    yield Row(case, wrong, cv, None, None, chosen.reason)
                    continue
                of = known.setdefault(chosen.placement, {})
                if cv not in of:
                    got = measured(unscaled, scale, chosen.placement, None, Offered(SECONDS, cv))
                    of[cv] = got.total
                best.setdefault(cv, of[cv])
                shown = described(chosen.placement.replicas)
                yield Row(case, wrong, cv, of[cv], of[cv] / best[cv] - 1, shown)


def report(found: list[Row]) -> str:
    lines = [
        "| case | what is wrong | "
        + " | ".join(f"CV {cv:g}: s | regret" for cv in CVS)
        + " | placement |",
        "|---" * (3 + 2 * len(CVS)) + "|",
    ]
    for index in range(0, len(found), len(CVS)):
        group = found[index : index + len(CVS)]
        cells = [
            "no plan | -"
            if row.latency_mean is None
            else f"{row.latency_mean:.3g} | {row.regret:+.0%}"
            for row in group
        ]
        first = group[0]
        lines.append(f"| {first.case} | {first.wrong} | {' | '.join(cells)} | {first.placement} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evaluation")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = []
    for row in rows():
        found.append(row)
        print(row, flush=True)
    text = ",\n".join(json.dumps(asdict(row)) for row in found)
    (arguments.out / "e6.json").write_text(f"[\n{text}\n]\n")
    (arguments.out / "e6.md").write_text(report(found))


if __name__ == "__main__":
    main()
