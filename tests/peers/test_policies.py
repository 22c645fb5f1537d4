"""Policies in the simulator: they lose no call, and do what their papers say."""

from __future__ import annotations

import random

import pytest

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Explanation, Placement, Plan, Prediction, Replica, Slice
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.step_time import StepTimer
from scepsy.peers.ayo import DEPTH_MAX, TopologyAware
from scepsy.peers.compass import Compass
from scepsy.peers.hexgen_flow import HexgenFlow
from scepsy.peers.work import Costs, costs_of
from scepsy.sim.cluster.deployment import deployment
from scepsy.sim.cluster.simulation import Ask, Policy, Simulation
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.program import Program, Steps

LLM = LlmSpec(
    name="a", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128, max_sequences=4
)
COSTS = {"a": Costs(prompt_token=1e-4, output_token=0.01)}
PLAN = Plan(
    cluster=Cluster(nodes=(Node(name="n", gpus=2),)),
    llms=(LLM,),
    targets=(),
    demands=(),
    allocation=Allocation(llms=()),
    placement=Placement(
        replicas=tuple(
            Replica(
                replica=f"a-{gpu}",
                llm="a",
                tp=1,
                slices=(Slice(node="n", gpu=gpu, gpu_share=1.0, memory_share=1.0),),
            )
            for gpu in range(2)
        )
    ),
    prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
    explanation=Explanation(summary=()),
)


def hexgen() -> HexgenFlow:
    return HexgenFlow(COSTS, {"w": 3.0}, {"w": 20.0})


POLICIES = {"HexGen-Flow": hexgen, "Compass": lambda: Compass(COSTS), "Ayo": TopologyAware}


def fan_out(rng: random.Random) -> Steps:
    prompt = tuple(rng.randrange(10**9) for _ in range(40))
    yield Ask("a", 700, 50, prompt, -2)
    yield [Ask("a", 700 + n, rng.randint(1, 200), prompt, -1) for n in range(rng.randint(1, 8))]
    yield Ask("a", 900, 100, prompt, 0)


def run(policy: Policy | None) -> Simulation:
    simulation = deployment(PLAN)
    assert isinstance(simulation, Simulation)
    simulation.policy = policy
    times = arrivals(2.0, 60, random.Random(1))
    simulate(simulation, [OpenLoopLoad(Program("w", fan_out), times)])
    return simulation


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_loses_no_call_and_repeats(name: str) -> None:
    policy = POLICIES[name]()
    simulation, plain = run(policy), run(None)
    assert all(done.end >= done.arrival for done in simulation.runs)
    assert len(simulation.calls) == len(plain.calls)
    assert {call.replica for call in simulation.calls} == {"a-0", "a-1"}
    again = run(POLICIES[name]())
    assert [one.end for one in again.runs] == [one.end for one in simulation.runs]
    if isinstance(policy, HexgenFlow | Compass):
        assert all(abs(left) < 1e-6 for left in policy._queued.values())


def test_hexgen_flow_sends_to_the_least_work_and_hurries_who_is_late() -> None:
    simulation = deployment(PLAN)
    assert isinstance(simulation, Simulation)
    replicas = simulation.llms["a"].replicas
    policy = hexgen()
    long, short = Ask("a", 100, 1000), Ask("a", 100, 10)
    first, early = policy.choose("w", 0, long, replicas, 0.0)
    assert [policy.choose("w", 1, short, replicas, 0.0)[0] for _ in range(3)] == [1 - first] * 3
    policy.choose("w", 2, short, replicas, 0.0)
    _, late = policy.choose("w", 2, long, replicas, 19.0)
    _, fresh = policy.choose("w", 3, long, replicas, 19.0)
    assert late < fresh
    assert early == round((20.0 - COSTS["a"].of(long)) * 1000)


def test_compass_stays_where_the_prefix_is_until_the_queue_outweighs_it() -> None:
    simulation = deployment(PLAN)
    assert isinstance(simulation, Simulation)
    replicas = simulation.llms["a"].replicas
    policy = Compass(COSTS, batch=1)
    ask = Ask("a", 1600, 10, tuple(range(100)))  # 0.16 s again elsewhere, 0.26 s of work
    assert policy.choose("w", 0, ask, replicas, 0.0)[0] == 0
    assert policy.choose("w", 1, ask, replicas, 0.0)[0] == 1
    assert policy.choose("w", 1, ask, replicas, 0.0)[0] == 1
    assert policy.choose("w", 1, ask, replicas, 0.0)[0] == 0


def test_ayo_takes_earlier_runs_first_and_the_deepest_call_within_one() -> None:
    simulation = deployment(PLAN)
    assert isinstance(simulation, Simulation)
    replicas = simulation.llms["a"].replicas
    policy = TopologyAware()
    depths = ((0, -5), (0, -1), (1, -DEPTH_MAX + 1))
    found = [policy.choose("w", run, Ask("a", 1, 1, (), d), replicas, 0.0)[1] for run, d in depths]
    assert found == sorted(found)


def test_work_of_a_call_is_about_what_the_engine_takes() -> None:
    timer = StepTimer(LLM, gpu_constants("h100"))
    costs = costs_of(timer)
    assert costs.of(Ask("a", 2000, 0)) == pytest.approx(2000 * costs.prompt_token)
    assert costs.prompt_token < costs.output_token / 16
