"""Recorded runs in simulated time, and what a study says of a plan."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import call, run_latency, trace
from scepsy.core.plan import Infeasible, Plan
from scepsy.core.trace import Trace
from scepsy.errors import BadInput
from scepsy.hardware.memory import BLOCK_TOKENS
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.cluster.simulation import Simulation
from scepsy.sim.results.records import SimulationResult
from scepsy.sim.results.study import SCALES, study
from scepsy.sim.workload.arrivals import arrivals, recorded
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.prefixes import prompt_blocks
from scepsy.sim.workload.recorded import replays
from scepsy.store import read_plan, read_traces
from scepsy.traces.graph import graph_of

ASSETS = Path(__file__).resolve().parents[1] / "assets" / "v1"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return read_plan(ASSETS / "plan.json")


@pytest.fixture(scope="module")
def traces() -> tuple[Trace, ...]:
    return read_traces(ASSETS / "traces").traces


def test_a_replayed_run_takes_what_its_graph_says(plan: Plan, traces: tuple[Trace, ...]) -> None:
    """With the calls' simulated durations; whatever they are, gaps and joins are kept."""
    for one in traces:
        simulation = deployment(plan)
        assert isinstance(simulation, Simulation)
        (flow,) = replays([one], random.Random(0)).values()
        simulate(simulation, [OpenLoopLoad(flow, [5.0])])
        graph = graph_of(one)
        left = list(simulation.calls)
        durations: list[float] = []
        for recorded_call in graph.calls:
            match = next(c for c in left if c.ask.prompt_tokens == recorded_call.prompt_tokens)
            left.remove(match)
            durations.append(match.latency)
        assert simulation.runs[0].latency == pytest.approx(run_latency(graph, durations), rel=1e-6)
        assert simulation.runs[0].latency == pytest.approx(one.latency, rel=0.05, abs=0.02)


def test_a_study_says_what_a_plan_does(plan: Plan, traces: tuple[Trace, ...]) -> None:
    found = study(plan, traces, {"rag": (1.0, 100)}, arrivals, seed=1)
    assert isinstance(found, SimulationResult)
    assert found == study(plan, traces, {"rag": (1.0, 100)}, arrivals, seed=1)
    assert [point.scale for point in found.curve] == list(SCALES)
    (flow,) = found.workflows
    assert flow.verdict == "sustained"
    assert flow.throughput_low < flow.throughput < flow.throughput_high
    assert 70 <= flow.runs <= 90
    assert flow.latency.percentiles[0] <= flow.latency.p50 <= flow.latency.percentiles[100]
    assert all(0 <= part <= 1 + 1e-9 for gpu in found.gpus for part in gpu.over_time)
    assert {llm.llm for llm in found.llms} == {"embedder", "generator", "reranker", "verifier"}
    assert found.slowest[0].latency >= found.slowest[-1].latency
    assert msgspec.json.decode(msgspec.json.encode(found), type=SimulationResult) == found


def test_beyond_capacity_latency_grows_and_fewer_runs_complete_than_arrive(
    plan: Plan, traces: tuple[Trace, ...]
) -> None:
    loads = [study(plan, traces, {"rag": (rate, 200)}, arrivals) for rate in (40.0, 80.0)]
    flows = [found.workflows[0] for found in loads if isinstance(found, SimulationResult)]
    assert all(flow.verdict == "not sustained" for flow in flows)
    assert all(flow.throughput_high < flow.offered_rate for flow in flows)
    assert all(flow.latency_growth > 0.05 for flow in flows)


def test_throughput_is_counted_and_a_short_simulation_says_so(
    plan: Plan, traces: tuple[Trace, ...]
) -> None:
    found = study(plan, traces, {"rag": (1.0, 12)}, arrivals)
    assert isinstance(found, SimulationResult)
    (flow,) = found.workflows
    assert flow.verdict == "too short to tell"
    assert flow.throughput * found.seconds == pytest.approx(round(flow.throughput * found.seconds))
    assert flow.throughput_low < flow.offered_rate < flow.throughput_high
    assert flow.latency.p99 is None


def test_burstier_arrivals_wait_longer(plan: Plan, traces: tuple[Trace, ...]) -> None:
    def mean(cv: float) -> float:
        found = study(plan, traces, {"rag": (6.0, 150)}, partial(arrivals, cv=cv))
        assert isinstance(found, SimulationResult)
        return found.workflows[0].latency.mean

    assert mean(0.0) < mean(1.0) < mean(4.0)


def test_what_cannot_be_studied_is_said(plan: Plan, traces: tuple[Trace, ...]) -> None:
    with pytest.raises(BadInput, match="no successful run of 'other' in the traces; they have rag"):
        study(plan, traces, {"other": (1.0, 10)}, arrivals)
    silent = trace(call("generator", 0, 1, prompt_tokens=None), workflow="silent")
    with pytest.raises(BadInput, match="has an unknown number of tokens"):
        study(plan, [silent], {"silent": (1.0, 10)}, arrivals)
    small = msgspec.structs.replace(plan.cluster, gpu_memory=8e9)
    found = study(msgspec.structs.replace(plan, cluster=small), traces, {"rag": (1, 9)}, arrivals)
    assert isinstance(found, Infeasible)
    assert found.binding == "memory"


def test_shared_prefixes_stay_shared_and_no_run_repeats_its_own() -> None:
    def prompt(run: str, tail: str, tokens: int = 128) -> object:
        return call(
            "x",
            0,
            1,
            call=f"{run}{tail}",
            run=run,
            prompt_tokens=tokens,
            prompt_chars=4 * tokens,
            prompt_blocks=("system", f"{run}{tail}"),
        )

    calls = [prompt("r1", "a"), prompt("r1", "b"), prompt("r2", "a")]
    blocks = prompt_blocks(calls)  # pyright: ignore
    one, other, third = (blocks[name] for name in ("r1a", "r1b", "r2a"))
    assert one.count == 128 // BLOCK_TOKENS
    assert one.common == other.common == third.common
    assert len(one.common) == 4
    assert not set(one.own) & set(other.own)
    assert one.of_run(0)[:4] == one.of_run(1)[:4]
    assert not set(one.of_run(0)[4:]) & set(one.of_run(1)[4:])
    assert len({block for run in range(9) for b in blocks.values() for block in b.of_run(run)}) == (
        4 + 9 * 12
    )


@given(
    st.lists(st.floats(0, 1000, allow_subnormal=False), min_size=2, max_size=50, unique=True),
    st.floats(0.1, 10),
    st.integers(1, 80),
)
@settings(max_examples=40, deadline=None)
def test_recorded_arrivals_rise_at_the_rate(times: list[float], rate: float, runs: int) -> None:
    rising = sorted(times)
    found = recorded(rate, runs, random.Random(0), times=rising)
    assert len(found) == min(runs, len(rising))
    assert found == sorted(found)
    assert found[-1] == pytest.approx(len(found) / rate) or found[-1] == 0.0
