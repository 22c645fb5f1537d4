"""The pool: nobody is lost, no memory overfilled, one call alone takes what the formulas say."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.problems import cluster, llm, problem
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.step_time import StepTimer
from scepsy.peers.aegaeon import Pool, pools, serving
from scepsy.peers.aegaeon.prefill import GROUP_SIZE_MAX
from scepsy.peers.aegaeon.quotas import ALPHA_MIN, TOKEN_INTERVAL_GOAL, TURN_SECONDS_MAX, quotas
from scepsy.peers.aegaeon.weights import (
    HOST_LINK_RATE,
    PREFETCHED_SWITCH_SECONDS,
    Weights,
    kv_bytes,
)
from scepsy.sim.cluster.simulation import Ask, Simulation
from scepsy.sim.engine.batch import EngineSequence
from scepsy.sim.engine.continuous_batching import SimulatedEngine
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.program import Program, Steps

LLMS = (llm("a", 8e9), llm("b", 14e9), llm("c", 32e9))
EIGHT = cluster(1, 8)


def program(names: str, most: int = 6) -> Program:
    """Calls of any kind, up to `most` at once; the last of a run waits for all others."""

    def steps(rng: random.Random) -> Steps:
        for _ in range(rng.randint(1, 3)):
            yield [
                Ask(rng.choice(names), rng.randint(1, 3000), rng.choice((0, 1, 2, 60, 400)))
                for _ in range(rng.randint(1, most))
            ]
        yield Ask(names[0], 100, 20, items=1)

    return Program("w", steps)


def served(pool: Pool, work: Program, rate: float, runs: int) -> Simulation:
    simulation = serving(pool, LLMS, EIGHT)
    simulate(simulation, [OpenLoopLoad(work, arrivals(rate, runs, random.Random(1)))])
    return simulation


@settings(max_examples=15, deadline=None)
@given(
    names=st.sampled_from(("a", "ab", "cb", "abc")),
    pool=st.sampled_from((Pool(1, 1, 1), Pool(1, 3, 5), Pool(2, 1, 3), Pool(4, 1, 1))),
    rate=st.sampled_from((0.2, 3.0, 40.0)),
)
def test_every_call_is_served_once_and_again_alike(names: str, pool: Pool, rate: float) -> None:
    simulation = served(pool, program(names), rate, 25)
    assert all(run.end >= run.arrival for run in simulation.runs)
    assert all(one.left == 0 and one.start < one.first_token <= one.end for one in simulation.calls)
    again = served(pool, program(names), rate, 25)
    assert [one.end for one in again.calls] == [one.end for one in simulation.calls]


@settings(max_examples=10, deadline=None)
@given(names=st.sampled_from(("cb", "abc")), rate=st.sampled_from((3.0, 40.0)))
def test_no_memory_is_overfilled(names: str, rate: float) -> None:
    """`Weights.hold` asserts it; here, that it was asked at all, and came close."""
    most: list[float] = []
    hold = Weights.hold

    def watched(self: Weights, kv: float) -> None:
        hold(self, kv)
        most.append(self.taken / self.memory)

    Weights.hold = watched
    try:
        served(Pool(1, 1, 1), program(names, 30), rate, 40)
    finally:
        Weights.hold = hold
    assert 0.8 < max(most) <= 1.0


def alone(one: LlmSpec, asked: Ask, pool: Pool) -> tuple[float, float]:
    """Seconds of a call on an empty pool, and of the same again when the weights are there."""

    def steps(_: random.Random) -> Steps:
        yield asked
        yield asked

    simulation = serving(pool, [one], EIGHT)
    simulate(simulation, [OpenLoopLoad(Program("w", steps), [0.0])])
    first, second = simulation.calls
    return first.latency, second.latency


@given(st.sampled_from(LLMS), st.integers(1, 2048), st.integers(0, 500), st.sampled_from((1, 2, 4)))
@settings(max_examples=40, deadline=None)
def test_one_call_takes_the_closed_form_and_its_switches(
    one: LlmSpec, prompt: int, output: int, tp: int
) -> None:
    timer = StepTimer(one, gpu_constants("h100"), tp=tp)
    engine = SimulatedEngine(timer, kv_tokens=16_000, max_sequences=1)
    engine.add(EngineSequence(0, prompt, output))
    closed = 0.0
    while not engine.idle:
        closed += engine.step().duration
    cold, warm = alone(one, Ask(one.name, prompt, output), Pool(tp, 1, 1))
    decodes = output > 1
    kv = kv_bytes(one, prompt) / (tp * HOST_LINK_RATE) if decodes else 0.0  # to the host
    back = kv_bytes(one, prompt + 1) / (tp * HOST_LINK_RATE) if decodes else 0.0
    assert warm == pytest.approx(closed + kv + back)
    assert cold == pytest.approx(warm + one.weight_bytes / (tp * HOST_LINK_RATE) * (1 + decodes))


@given(st.lists(st.floats(0.002, 0.05), min_size=1, max_size=8), st.floats(0.1, 20.0))
def test_quotas_are_those_of_the_artifact(steps: list[float], switching: float) -> None:
    n = [TOKEN_INTERVAL_GOAL / step for step in steps]
    found = quotas(steps, switching)
    assert all(quota > 0 for quota in found)
    attained = [q * m / (switching + sum(found)) for q, m in zip(found, n, strict=True)]
    assert attained == pytest.approx([attained[0]] * len(n))  # the same part of the promise for all
    assert attained[0] <= 1 / ALPHA_MIN + 1e-9
    assert max(found) <= TURN_SECONDS_MAX + 1e-9
    if attained[0] < 1 / ALPHA_MIN - 1e-6:
        assert max(found) == pytest.approx(TURN_SECONDS_MAX)


def test_a_prefetched_switch_is_short_and_a_prefetch_needs_room() -> None:
    a, b, c = LLMS
    weights = Weights(memory=80e9, link=HOST_LINK_RATE)
    assert weights.switch(a, 0.0) == weights.loading(a) == pytest.approx(1.0)
    weights.hold(10e9)
    weights.prefetch(c, 5.0)  # 16 + 10 + 64 GB
    assert weights.coming is None
    weights.prefetch(b, 5.0)
    assert weights.coming is b
    assert weights.switch(b, 5.5) == pytest.approx(weights.loading(b) - 0.5)
    weights.prefetch(a, 6.0)
    assert weights.switch(a, 60.0) == PREFETCHED_SWITCH_SECONDS
    weights.prefetch(b, 61.0)
    weights.hold(50e9)  # its room is needed
    assert weights.coming is None
    assert weights.switch(b, 70.0) == pytest.approx(weights.loading(b))


def test_prompts_go_in_groups_of_eight_of_one_llm() -> None:
    """Of two LLMs' calls by turns, eight of one come before the first of the other is over."""

    def steps(_: random.Random) -> Steps:
        yield [Ask("ab"[n % 2], 2000, 0) for n in range(4 * GROUP_SIZE_MAX)]

    simulation = serving(Pool(1, 1, 1), LLMS, EIGHT)
    simulate(simulation, [OpenLoopLoad(Program("w", steps), [0.0])])
    order = "".join(one.ask.llm for one in sorted(simulation.calls, key=lambda one: one.end))
    assert order == ("a" * GROUP_SIZE_MAX + "b" * GROUP_SIZE_MAX) * 2


def test_pools_are_all_splits_at_all_degrees_that_hold_every_llm() -> None:
    small = problem({"a": (8e9, 1.0, 0.5)}, cluster(1, 4), 0.1)
    assert pools(small) == (Pool(1, 1, 3), Pool(1, 2, 2), Pool(1, 3, 1), Pool(2, 1, 1))
    large = problem({"a": (8e9, 1.0, 0.5), "b": (70e9, 1.0, 0.5)}, cluster(2, 4), 0.1)
    found = pools(large)
    assert not isinstance(found, Infeasible)
    assert {one.tp for one in found} == {2, 4}
    assert {one.prefill + one.decode for one in found if one.tp == 2} == {4}
    assert isinstance(pools(problem({"a": (8e9, 1.0, 0.5)}, cluster(1, 1), 0.1)), Infeasible)
