"""Runs under way, and what they say of runs that arrive."""

from __future__ import annotations

import math
import random
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Explanation, Placement, Plan, Prediction, Replica, Slice
from scepsy.core.trace import Trace
from scepsy.curves.bursts import Stream, bursts_of
from scepsy.curves.jobs import jobs
from scepsy.estimate.curves import estimate
from scepsy.estimate.queueing.birth_death import max_sustained_rate, population_weights
from scepsy.estimate.queueing.closed_loop import Population
from scepsy.estimate.queueing.run_cycle import run_cycle
from scepsy.estimate.step_times.steps import Steps
from scepsy.hardware.architectures import shape_called
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.cluster.simulation import Simulation
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.recorded import replays

CLUSTER = Cluster(nodes=(Node(name="a", gpus=1, gpu_type="h100"),))


def populations(*rates: float) -> list[Population]:
    """Of one run, two, three and so on."""
    return [Population(size, rate, {}, {}, {}) for size, rate in enumerate(rates, 1)]


@given(st.floats(0.05, 0.95))
def test_one_server_has_a_geometric_queue(load: float) -> None:
    weights, lost = population_weights(populations(*[1.0] * 400), load)
    assert lost == 0
    assert weights.sum() == pytest.approx(1)
    assert np.dot(weights, np.arange(400)) == pytest.approx(load / (1 - load), rel=0.01)


@given(st.floats(0.05, 20.0))
def test_servers_for_everybody_have_a_poisson_crowd(load: float) -> None:
    weights, _ = population_weights(populations(*[float(size) for size in range(1, 101)]), load)
    poisson = [math.exp(-load + n * math.log(load) - math.lgamma(n + 1)) for n in range(100)]
    assert weights == pytest.approx(poisson, abs=1e-9)


@given(st.lists(st.floats(0.1, 10.0), min_size=2, max_size=30), st.floats(0.0, 1.0))
def test_crowds_grow_with_the_rate(rates: list[float], part: float) -> None:
    found = populations(*rates)
    most = max_sustained_rate(found)
    assert 0 < most <= max(rates) * (1 + 1e-9)
    sizes = np.arange(len(rates))
    low, high = (population_weights(found, rate)[0] for rate in (0.5 * part * most, part * most))
    for weights in (low, high):
        assert weights.sum() == pytest.approx(1)
        assert weights.min() >= 0
    assert low @ sizes <= high @ sizes + 1e-9


def test_what_a_crowd_slows_carries_less_than_its_best() -> None:
    level = max_sustained_rate(populations(1.0, 2.0, 3.0, 4.0, 4.0, 4.0))
    slowed = max_sustained_rate(populations(1.0, 2.0, 3.0, 4.0, 1.0, 1.0))
    assert level == pytest.approx(4.0, rel=0.05)
    assert 1.0 < slowed < 2.5


def test_gaps_are_cut_and_no_run_is_left_out() -> None:
    known = _runs()
    stream = Stream({"w": bursts_of(known, "g")}, {"w": 1.0})
    whole, cut = run_cycle(stream), run_cycle(stream, 0.5)
    assert {run.chain[0].run for run in cut.runs} == {one.run for one in known}
    assert sum(run.seconds for run in whole.runs) == pytest.approx(sum(t.latency for t in known))
    assert max(gap for run in cut.runs for gap in run.gaps) == 0.5
    assert whole.entry(0.0) == (0, 0, 0.0)


@given(st.floats(0.0, 1.0, exclude_max=True))
def test_a_circle_is_entered_at_the_next_burst(part: float) -> None:
    cycle_of_runs = run_cycle(Stream({"w": bursts_of(_runs(), "g")}, {"w": 1.0}))
    lap, burst, wait = cycle_of_runs.entry(part)
    chain, whole = cycle_of_runs.runs[lap].chain, cycle_of_runs.ends[-1]
    due = (
        cycle_of_runs.ends[lap]
        - cycle_of_runs.runs[lap].seconds
        + chain[burst].start
        - chain[0].start
    )
    off = (due - wait - part * whole) % whole
    assert 0 <= wait <= 2.5
    assert min(off, whole - off) == pytest.approx(0, abs=1e-6)


def _runs() -> list[Trace]:
    """Two to six calls in fan-outs of two, with gaps of a second."""
    rng, found = random.Random(3), list[Trace]()
    for number in range(20):
        name, now, calls = f"r{number}", 10.0 * number, []
        for step in range(rng.randint(1, 3)):
            for side in range(2):
                lengths = {"prompt_tokens": rng.randint(500, 2500), "output_tokens": 120}
                calls.append(
                    call("g", now, now + 1.5, call=f"{name}/{step}/{side}", run=name, **lengths)
                )
            now += 2.5
        found.append(trace(*calls, run=name))
    return found


@pytest.mark.parametrize("utilisation", [0.3, 0.6, 0.86])
def test_a_long_simulation_of_arrivals_agrees(utilisation: float) -> None:
    """The referee: recorded runs as the simulator replays them, on one replica."""
    llm = LlmSpec(name="g", max_sequences=32, **shape_called("llama-3.1-8b"))
    known = _runs()
    job = next(j for j in jobs(known, [llm], CLUSTER) if j.gpu_share == 1)
    curves = estimate(job, known, CLUSTER, [Steps("h100", "modelled")])
    assert not isinstance(curves, str)
    point = next(p for p in curves[0].points if p.rate >= utilisation * curves[0].max_throughput)
    rate = point.rate / fmean(len(run.calls) for run in known)
    simulation = deployment(_plan(llm))
    assert isinstance(simulation, Simulation)
    (workflow,) = replays(known, random.Random(0)).values()
    times = arrivals(rate, 2000, random.Random(1))
    simulate(simulation, [OpenLoopLoad(workflow, times)])
    latency = fmean(c.latency for c in simulation.calls if c.start >= times[500])
    assert point.latency == pytest.approx(latency, rel=0.1)


def _plan(llm: LlmSpec) -> Plan:
    slices = (Slice(node="a", gpu=0, gpu_share=1.0, memory_share=1.0),)
    return Plan(
        cluster=CLUSTER,
        llms=(llm,),
        targets=(),
        demands=(),
        allocation=Allocation(llms=()),
        placement=Placement(replicas=(Replica(replica="r", llm="g", tp=1, slices=slices),)),
        prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
        explanation=Explanation(summary=()),
    )
