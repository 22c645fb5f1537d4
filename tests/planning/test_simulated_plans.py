"""Three predictors: where they agree, and who has the last word where they do not."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import call, curve, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Plan, Target
from scepsy.core.profile import Profile
from scepsy.core.trace import Trace
from scepsy.errors import BadInput
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.step_time import StepLoad, StepTimer
from scepsy.planning.alternatives import other_replica_counts
from scepsy.planning.planner import allocate, decide, plan, shortlist
from scepsy.planning.problem import Problem
from scepsy.planning.simulation import SimulationOptions, SimulationOutcome, _best, simulate
from scepsy.predict import Pipeline, recordings, responses
from scepsy.sim.results.paired_trials import Trial
from scepsy.traces.summarize import summarize

H100 = Cluster(nodes=(Node(name="n", gpus=4),))
QUICK = SimulationOptions(calls=2_000)


def llm(name: str, billions: float = 8.0) -> LlmSpec:
    return LlmSpec(
        name=name, parameters=billions * 1e9, layers=32, hidden=4096, kv_heads=8, head_dim=128
    )


def alone(spec: LlmSpec, prompt: int, output: int, tp: int = 1) -> float:
    """Seconds of one call on an idle engine."""
    timer = StepTimer(spec, gpu_constants("h100"), tp=tp)
    prefill = timer.seconds(StepLoad(prefill_tokens=prompt, attended=prompt * prompt / 2))
    return prefill + sum(
        timer.seconds(StepLoad(decodes=1, decode_kv=prompt + done)) for done in range(1, output)
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(20, 2000), st.integers(2, 400), st.sampled_from([1, 2]), st.floats(0.0, 3.0))
def test_all_predictors_agree_on_calls_without_queueing(
    prompt: int, output: int, tp: int, tool: float
) -> None:
    """One call of each of two LLMs, a tool between them."""
    specs = [llm("a"), llm("b", 1.0)]
    took = {one.name: alone(one, prompt, output, tp) for one in specs}
    sizes = {"prompt_tokens": prompt, "output_tokens": output}
    first, second = took["a"], took["a"] + tool
    traces = [trace(call("a", 0, first, **sizes), call("b", second, second + took["b"], **sizes))]
    rate = 0.01 / (second + took["b"])
    curves = [curve(one.name, {0: took[one.name], 9: took[one.name]}, tp=tp) for one in specs]
    targets = (Target(workflow="w", rate=rate),)
    problem = Problem(
        Pipeline(summarize(traces), targets, responses(curves)),
        tuple(specs),
        H100,
        1.0,
    )
    listed = shortlist(problem, recordings(traces))
    assert not isinstance(listed, Infeasible)
    entry = listed.entries[0]
    verdict = simulate([entry], problem, traces, SimulationOptions(calls=100), 1.0)
    assert isinstance(verdict, SimulationOutcome)
    expected = took["a"] + tool + took["b"]
    assert entry.pipeline.objective == pytest.approx(expected, rel=0.01)
    assert entry.replay.objective == pytest.approx(expected, rel=0.01)
    assert fmean(verdict.trials[0].latencies["w"]) == pytest.approx(expected, rel=0.01)


def fan_outs(runs: int = 6) -> list[Trace]:
    """Runs of eight generations at once, as an H100 computes them."""
    spec = llm("big")
    took = alone(spec, 400, 200)
    return [
        trace(
            *(
                call(
                    "big",
                    0,
                    took,
                    run=f"r{i}",
                    call=f"r{i}/{j}",
                    prompt_tokens=400,
                    output_tokens=200,
                )
                for j in range(8)
            ),
            run=f"r{i}",
        )
        for i in range(runs)
    ]


def misled(rate: float) -> Problem:
    """Whoever believes these curves takes TP1: TP4 is said to be slower, and is not."""
    took = alone(llm("big"), 400, 200)
    curves = [
        curve("big", {0: took, 90: 1.2 * took}, max_throughput=100.0),
        curve("big", {0: 1.05 * took, 90: 1.3 * took}, tp=4, max_throughput=100.0),
    ]
    traces = fan_outs()
    targets = (Target(workflow="w", rate=rate),)
    return Problem(
        Pipeline(summarize(traces), targets, responses(curves)),
        (llm("big"),),
        H100,
        1.0,
    )


def test_the_simulation_corrects_a_ranking_from_a_wrong_curve() -> None:
    problem = misled(0.5)
    believed = decide(problem, fan_outs(), None)
    confirmed = decide(problem, fan_outs(), QUICK)
    assert not isinstance(believed, Infeasible)
    assert not isinstance(confirmed, Infeasible)
    assert believed.entry.allocation.llms[0].tp == 1
    assert confirmed.entry.allocation.llms[0].tp == 4
    assert decide(problem, fan_outs(), QUICK) == confirmed


def test_another_number_of_replicas_is_simulated_too() -> None:
    problem = misled(0.5)
    listed = shortlist(problem, recordings(fan_outs()))
    assert not isinstance(listed, Infeasible)
    (best,) = listed.choice.candidate.allocation.llms
    (another,) = other_replica_counts(problem, listed.choice.candidate.allocation)
    other = allocate(another)
    assert not isinstance(other, Infeasible)
    assert other.candidate.allocation.llms[0].replicas != best.replicas
    assert other.candidate.allocation in [entry.allocation for entry in listed.entries]


def test_one_plan_to_simulate_is_the_first() -> None:
    problem = misled(0.5)
    listed = shortlist(problem, recordings(fan_outs()))
    assert not isinstance(listed, Infeasible)
    verdict = simulate(listed.entries, problem, fan_outs(), replace(QUICK, plans=1), 1.0)
    assert isinstance(verdict, SimulationOutcome)
    assert set(verdict.trials) == {0}


def test_a_negligible_difference_does_not_change_the_plan() -> None:
    slower = Trial({}, {}, 1.0, tuple(0.1 + 0.0001 * (i % 2) for i in range(10)), {})
    faster = replace(slower, objective=0.995, parts=tuple(part - 0.0005 for part in slower.parts))
    assert _best({0: slower, 1: faster}) == 0
    noticeable = replace(slower, objective=0.9, parts=tuple(part - 0.05 for part in slower.parts))
    assert _best({0: slower, 1: noticeable}) == 1


def test_an_insignificant_difference_does_not_change_the_plan() -> None:
    problem = misled(0.5)
    listed = shortlist(problem, recordings(fan_outs()))
    assert not isinstance(listed, Infeasible)
    same_plan_twice = [listed.entries[0], replace(listed.entries[0])]
    verdict = simulate(same_plan_twice, problem, fan_outs(), QUICK, 1.0)
    assert isinstance(verdict, SimulationOutcome)
    assert verdict.best == 0
    assert verdict.trials[0] == verdict.trials[1]


def planned(gpu_type: str, llms: list[LlmSpec], simulated: SimulationOptions | None) -> Plan:
    took = alone(llm("big"), 400, 200)
    profile = Profile(
        curves=tuple(
            msgspec.structs.replace(
                curve("big", {0: seconds, 90: 1.2 * seconds}, tp=tp, max_throughput=100.0),
                gpu_type=gpu_type,
            )
            for tp, seconds in ((1, took), (4, 1.05 * took))
        )
    )
    cluster = Cluster(nodes=(Node(name="n", gpus=4, gpu_type=gpu_type),))
    targets = [Target(workflow="w", rate=0.5)]
    found = plan(fan_outs(), profile, llms, cluster, targets, share_step=1.0, simulate=simulated)
    assert isinstance(found, Plan)
    return found


def test_a_plan_says_which_predictor_ranked_what() -> None:
    told: list[float] = []
    found = planned("h100", [llm("big")], replace(QUICK, progress=told.append))
    ours, *others = found.explanation.finalists
    assert ours.allocation == found.allocation
    assert ours.simulated is not None
    for other in others:
        assert other.simulated is None or other.simulated >= ours.simulated
        assert "instead of" in other.note
    assert "ranks another plan first" in "\n".join(found.explanation.summary)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Plan) == found
    assert found.prediction.workflows[0].latency_p99 is None
    no_p99 = "No p99 latency is given for w: it needs 100 runs, and there are 6 recorded ones"
    assert no_p99 in found.explanation.summary


def test_where_nothing_can_be_simulated_the_replay_decides_and_says_so() -> None:
    llms = [llm("big")]
    found = planned("abacus", llms, QUICK)
    why = "no step times are known for GPU type 'abacus'"
    assert why in "\n".join(found.explanation.summary)
    assert found.allocation.llms[0].tp == 1
    assert found.allocation == planned("abacus", llms, None).allocation


def test_an_llm_of_unknown_size_is_refused_and_not_taken_as_size_zero() -> None:
    with pytest.raises(BadInput, match="LLM 'big': its size is not known"):
        planned("h100", [llm("big", 0.0)], QUICK)


def test_a_plan_refused_by_the_pipeline_may_be_chosen_with_a_finite_prediction() -> None:
    """TP4 is estimated to saturate below the target, TP1 to be slow."""
    took = alone(llm("big"), 400, 200)
    curves = (
        curve("big", {0: 3 * took, 90: 4 * took}, max_throughput=100.0),
        curve("big", {0: took, 0.48 * 8: took}, tp=4, max_throughput=0.48 * 8),
    )
    profile = Profile(curves=tuple(msgspec.structs.replace(one, error=0.1) for one in curves))
    found = plan(
        fan_outs(),
        profile,
        [llm("big")],
        H100,
        [Target(workflow="w", rate=0.5)],
        share_step=1.0,
        simulate=QUICK,
    )
    assert isinstance(found, Plan)
    assert found.allocation.llms[0].tp == 4
    (flow,) = found.prediction.workflows
    assert flow.throughput < flow.target_rate
    assert 0 < flow.latency_mean < 3 * took
    assert flow.latency_low is not None
    assert flow.latency_high is not None
    assert flow.latency_low < flow.latency_mean < flow.latency_high
    assert flow.interval_parts is not None
    assert flow.interval_parts.curves > 0  # of the simulation: its runs are few
    assert flow.percentiles_by == "simulation"
    assert flow.percentile_runs >= 100
    assert flow.latency_p99 >= flow.latency_p50
    assert any("simulated runs" in line for line in found.explanation.summary if "p99" in line)
    assert 0 < flow.stages[0].call_latency < 3 * took
    assert msgspec.json.decode(msgspec.json.encode(found), type=Plan) == found
