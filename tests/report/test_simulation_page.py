"""The page of a simulation: headroom, where each p99 comes from, the ten slowest runs."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import msgspec

from scepsy.core.plan import Infeasible, Plan
from scepsy.predict.headroom import headroom
from scepsy.report import wording
from scepsy.report.simulation import headroom_sentences, page, render
from scepsy.sim.results.records import SimulationResult
from scepsy.sim.results.study import study
from scepsy.sim.workload.arrivals import arrivals
from scepsy.store import read_plan, read_traces
from scepsy.traces.latency_trend import LoadVerdict

ASSETS = Path(__file__).resolve().parents[1] / "assets" / "v1"
RATES = {"rag": 0.5}
replace = msgspec.structs.replace


@cache
def simulated(runs: int) -> tuple[Plan, SimulationResult]:
    plan = read_plan(ASSETS / "plan.json")
    loads = {"rag": (RATES["rag"], runs)}
    found = study(plan, read_traces(ASSETS / "traces").traces, loads, arrivals)
    assert not isinstance(found, Infeasible)
    return plan, found


def test_the_ten_slowest_runs_are_drawn_slowest_first() -> None:
    plan, found = simulated(60)
    ((workflow, runs),) = page(plan, found, RATES).slowest
    assert workflow == "rag"
    assert len(runs) == 10
    latencies = [run.latency for run in found.slowest]
    assert latencies == sorted(latencies, reverse=True)
    text = render(plan, found, RATES)
    assert text.count("<details") == 10
    assert text.count("<details open") == 1


def test_a_p99_says_of_how_many_simulated_runs_it_is() -> None:
    plan, few = simulated(60)
    assert "needs 100 runs, there are" in render(plan, few, RATES)
    plan, many = simulated(200)
    (flow,) = many.workflows
    assert flow.latency.p99 is not None
    assert f"of {wording.count(flow.runs, 'simulated run')}" in render(plan, many, RATES)


def test_the_headroom_is_the_plan_s_and_then_what_was_simulated() -> None:
    plan, found = simulated(60)
    shown = wording.factor(headroom(plan.prediction, RATES).factor)
    predicted, _ = headroom_sentences(plan, found, RATES)
    assert predicted.startswith("Headroom, all workflows together: ")
    assert predicted.endswith(f"saturates at {shown} of this load")
    page_text = render(plan, found, RATES)
    assert re.search(rf"predicted to saturate at {shown}\b", page_text)
    assert predicted in page_text


def verdicts(**by_scale: LoadVerdict) -> str:
    """The sentence for these verdicts, by a hundred times the scale."""
    plan, found = simulated(60)
    points = {f"x{round(100 * point.scale)}": point for point in found.curve}
    curve = tuple(
        replace(
            points[name],
            workflows=tuple(replace(f, verdict=verdict) for f in points[name].workflows),
        )
        for name, verdict in by_scale.items()
    )
    return headroom_sentences(plan, replace(found, curve=curve), RATES)[1]


def test_the_simulated_headroom_in_words() -> None:
    assert verdicts(x100="sustained").startswith("Simulated at multiples of this load: ")
    up_to = f"sustained up to {wording.TIMES} 1"
    assert f"{up_to}.5, the highest load" in verdicts(x100="sustained", x150="sustained")
    assert f"{up_to}, and not sustained at {wording.TIMES} 1.5" in verdicts(
        x100="sustained", x150="not sustained"
    )
    assert f"{up_to}; no load above {wording.TIMES} 1.5 was" in verdicts(
        x100="sustained", x150="too short to tell"
    )
    assert "of no simulated load it is known" in verdicts(x100="too short to tell")
