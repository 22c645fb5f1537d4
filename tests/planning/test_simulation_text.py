"""What a plan says of its simulation: what was compared, what is not known, and what differs."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from builders import call, curve, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
from scepsy.core.trace import Trace
from scepsy.planning import planner
from scepsy.planning.decision import Decision
from scepsy.planning.planner import decide, plan
from scepsy.planning.problem import Problem
from scepsy.planning.simulation import RUNS_MIN, SimulationOptions, SimulationOutcome
from scepsy.planning.simulation_text import sentences
from scepsy.predict import Pipeline, responses
from scepsy.traces.summarize import summarize

SPEC = LlmSpec(
    name="big", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128, max_tp=2
)
TWO_GPUS = Cluster(nodes=(Node(name="n", gpus=2),))
QUICK = SimulationOptions(calls=1_000)


def runs_of(workflow: str, seconds: float = 0.5) -> list[Trace]:
    """Ten runs of one call each, which takes about a quarter of a second on an H100."""
    return [
        trace(
            call("big", 0, seconds, run=f"{workflow}{i}", workflow=workflow),
            run=f"{workflow}{i}",
            workflow=workflow,
        )
        for i in range(10)
    ]


def decided(
    rates: dict[str, float], options: SimulationOptions, latency: float = 0.2, tps: int = 2
) -> Decision:
    traces = [one for name in rates for one in runs_of(name)]
    curves = [
        curve("big", {0: latency, 90: latency}, workflow=name, tp=tp, max_throughput=90.0)
        for name in rates
        for tp in range(1, tps + 1)
    ]
    targets = tuple(Target(workflow=name, rate=rate) for name, rate in rates.items())
    pipeline = Pipeline(summarize(traces), targets, responses(curves))
    found = decide(Problem(pipeline, (SPEC,), TWO_GPUS, 1.0), traces, options)
    assert isinstance(found, Decision)
    return found


def test_a_rare_workflow_stays_in_the_verdict_and_what_was_cut_is_said() -> None:
    found = decided({"often": 5.0, "rare": 0.0005}, QUICK)
    assert isinstance(found.simulated, SimulationOutcome)
    trial = found.simulated.trials[found.simulated.best]
    assert set(trial.latencies) == set(trial.verdicts) == {"often", "rare"}
    assert trial.verdicts["rare"] == "too short to tell"
    assert found.simulated.verdict == "too short to tell"
    assert trial.objective == pytest.approx(
        sum(sum(runs) / len(runs) for runs in trial.latencies.values())
    )
    (said,) = [line for line in sentences(found) if "rare" in line and "not known" in line]
    assert f"starts so rarely that {RUNS_MIN} of its runs need more than the 6,000 calls" in said
    assert "--duration 160000" in said


def test_a_workflow_rare_enough_for_the_limit_has_a_verdict() -> None:
    found = decided({"often": 5.0, "rare": 0.1}, QUICK)
    assert isinstance(found.simulated, SimulationOutcome)
    assert found.simulated.loads["rare"][1] == RUNS_MIN
    assert found.simulated.verdict == "sustained"


def test_the_reason_for_simulating_one_plan_only_is_given() -> None:
    asked = next(sentences(decided({"w": 1.0}, replace(QUICK, plans=1))))
    assert asked == "Only this plan was simulated: no more than one was asked for"


def test_the_cause_of_differing_predictions_is_named() -> None:
    slow = "\n".join(sentences(decided({"w": 1.0}, QUICK, latency=2.0)))
    assert "the replay of the recorded runs predicts a mean latency of 2 s" in slow
    assert "in the LLMs, 100% of it in big: a call takes 2 s by its latency curve and 0." in slow
    assert "`scepsy drive`" in slow


def test_slowdown_that_was_still_rising_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two LLMs on one GPU whose weights want more than its bandwidth."""
    for module in ("planner", "contention"):
        monkeypatch.setattr(f"scepsy.planning.{module}.ITERATIONS_MAX", 0)
    assert planner.ITERATIONS_MAX == 0
    curves = tuple(
        curve(name, {0: 1.0, 9: 1.2}, gpu_share=share, max_throughput=10.0)
        for name in ("big", "small")
        for share in (0.3, 0.5)
    )
    llms = [LlmSpec(name=n, parameters=13.5e9, max_tp=1, min_kv_tokens=1) for n in ("big", "small")]
    traces = [
        trace(call("big", 0, 2, run=f"r{i}"), call("small", 2, 2.5, run=f"r{i}"), run=f"r{i}")
        for i in range(4)
    ]
    found = plan(
        traces,
        Profile(curves=curves),
        llms,
        Cluster(nodes=(Node(name="n", gpus=1),)),
        [Target(workflow="w", rate=0.5)],
        share_step=0.5,
    )
    assert isinstance(found, Plan)
    text = "\n".join(found.explanation.summary)
    assert "Latencies may be predicted too low" in text
    assert "A better plan may exist" in text


def test_an_infeasible_problem_has_no_decision() -> None:
    llm = msgspec.structs.replace(SPEC, max_tp=1)
    traces = runs_of("w")
    curves = [curve("big", {0: 0.2, 9: 0.3}, max_throughput=10.0)]
    pipeline = Pipeline(summarize(traces), (Target(workflow="w", rate=50.0),), responses(curves))
    assert isinstance(decide(Problem(pipeline, (llm,), TWO_GPUS, 1.0), traces, QUICK), Infeasible)
