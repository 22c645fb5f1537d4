"""What a simulated deployment never does, whatever is asked of it."""

from __future__ import annotations

import random
from collections.abc import Generator
from itertools import pairwise
from statistics import fmean

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import (
    Allocation,
    Explanation,
    Infeasible,
    Placement,
    Plan,
    Prediction,
    Replica,
    Slice,
)
from scepsy.errors import BadInput
from scepsy.hardware.step_time import StepLoad
from scepsy.sim.cluster.deployment import deployment, roofline
from scepsy.sim.cluster.simulation import Ask, Simulation
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.program import Program, Steps

LLMS = tuple(
    LlmSpec(
        name=name,
        parameters=parameters,
        layers=layers,
        hidden=4096,
        kv_heads=8,
        head_dim=128,
        max_context=4096,
        max_sequences=8,
    )
    for name, parameters, layers in (("big", 8e9, 32), ("twin", 8e9, 32), ("small", 1e9, 16))
)


def plan(*replicas: Replica, gpus: int = 4) -> Plan:
    return Plan(
        cluster=Cluster(nodes=(Node(name="n", gpus=gpus),)),
        llms=LLMS,
        targets=(),
        demands=(),
        allocation=Allocation(llms=()),
        placement=Placement(replicas=replicas),
        prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
        explanation=Explanation(summary=()),
    )


def replica(name: str, llm: str, *gpus: int, share: float = 1.0, memory: float = 1.0) -> Replica:
    slices = tuple(Slice(node="n", gpu=gpu, gpu_share=share, memory_share=memory) for gpu in gpus)
    return Replica(replica=name, llm=llm, tp=len(gpus), slices=slices)


SPREAD = plan(
    replica("big-0", "big", 0), replica("big-1", "big", 1), replica("small-0", "small", 2, 3)
)
TIGHT = plan(
    replica("big-0", "big", 0, share=0.5, memory=0.3),
    replica("small-0", "small", 0, share=0.3, memory=0.06),
    replica("small-1", "small", 0, share=0.2, memory=0.06),
)
"""Little KV, so that sequences lose their blocks, and one GPU for all, so that they contend."""


def fan_out(rng: random.Random) -> Steps:
    """A call, some time, several calls at once that share a prompt, one more if chance will."""
    first = yield Ask("big", rng.randint(1, 3000), rng.randint(1, 300))
    yield rng.random()
    width = rng.randint(0, 6)
    blocks = tuple(range(rng.randint(0, 20)))
    yield [Ask("small", 400 + i, 50, blocks, priority=i % 2) for i in range(width)]
    if first.end - first.start > 1 or rng.random() < 0.3:
        yield [nested(), Ask("small", 100, 0, items=4)]


def nested() -> Generator[Ask, object, str]:
    yield Ask("big", 10, 10)
    yield Ask("big", 20, 10)
    return "done"


def run(which: Plan, rate: float, runs: int, seed: int, cv: float = 1.0) -> Simulation:
    simulation = deployment(which)
    assert isinstance(simulation, Simulation)
    times = arrivals(rate, runs, random.Random(seed), cv=cv)
    simulate(simulation, [OpenLoopLoad(Program("w", fan_out, seed), times)])
    return simulation


SEEDS = st.integers(0, 10**6)


@given(st.sampled_from([SPREAD, TIGHT]), st.floats(0.5, 50), SEEDS, st.floats(0, 4))
@settings(max_examples=25, deadline=None)
def test_calls_tokens_and_memory(which: Plan, rate: float, seed: int, cv: float) -> None:
    """Every call that begins ends, with every token; nothing is left behind."""
    simulation = run(which, rate, 25, seed, cv)
    assert all(one.end >= one.arrival for one in simulation.runs)
    assert all(
        call.start < call.first_token <= call.end and not call.left for call in simulation.calls
    )
    for name, group in simulation.llms.items():
        asked = [call.ask for call in simulation.calls if call.ask.llm == name]
        engines = [one.engine for one in group.replicas]
        assert sum(e.counters.generation_tokens for e in engines) == sum(
            ask.output_tokens * ask.items for ask in asked
        )
        assert sum(e.counters.prompt_tokens for e in engines) == sum(a.prompt_tokens for a in asked)
        assert all(e.idle and e.kv.held == 0 and e.kv.idle <= e.kv.capacity for e in engines)
        assert not any(one.in_flight for one in group.replicas)


@given(SEEDS)
@settings(max_examples=8, deadline=None)
def test_the_same_seed_gives_the_same_bytes(seed: int) -> None:
    def lines(simulation: Simulation) -> str:
        return repr(
            [(c.run, c.ask, c.replica, c.start, c.first_token, c.end) for c in simulation.calls]
        )

    assert lines(run(TIGHT, 5.0, 20, seed)) == lines(run(TIGHT, 5.0, 20, seed))
    assert lines(run(TIGHT, 5.0, 20, seed)) != lines(run(TIGHT, 5.0, 20, seed + 1))


@given(st.sampled_from([SPREAD, TIGHT]), SEEDS)
@settings(max_examples=10, deadline=None)
def test_littles_law(which: Plan, seed: int) -> None:
    """Area under the number of calls in the system = sum of their times in it; the number is that
    of the events, not of the records.
    """
    simulation = run(which, 5.0, 30, seed)
    events = sorted(
        [(call.start, 1) for call in simulation.calls] + [(c.end, -1) for c in simulation.calls]
    )
    area, inside, last = 0.0, 0, 0.0
    for time, change in events:
        area += inside * (time - last)
        inside, last = inside + change, time
    assert area == pytest.approx(sum(call.end - call.start for call in simulation.calls))
    busy = [span for g in simulation.llms.values() for one in g.replicas for span in one.busy]
    assert all(start < end for start, end in busy)


@given(
    st.integers(1, 2048),
    st.integers(1, 500),
    st.sampled_from([SPREAD, plan(replica("b", "big", 0, 1))]),
)
@settings(max_examples=20, deadline=None)
def test_one_call_at_a_time_takes_the_closed_form(prompt: int, output: int, which: Plan) -> None:
    def steps(_: random.Random) -> Steps:
        yield Ask("big", prompt, output)

    simulation = deployment(which)
    assert isinstance(simulation, Simulation)
    simulate(simulation, [OpenLoopLoad(Program("w", steps), [0.0, 100.0, 200.0])])
    timer = roofline(LLMS[0], "h100", which.placement.replicas[0].tp, 1.0)
    expected = timer.seconds(StepLoad(prompt, prompt * prompt / 2)) + sum(
        timer.seconds(StepLoad(decodes=1, decode_kv=prompt + i)) for i in range(1, output)
    )
    for one in simulation.runs:
        assert one.end - one.arrival == pytest.approx(expected)


def latencies(which: Plan, llms: list[str], *, contention: bool = True) -> list[float]:
    """Of one decode-heavy call to each, begun together."""

    def steps(_: random.Random) -> Steps:
        yield [Ask(llm, 100, 300) for llm in llms]

    simulation = deployment(which, contention=contention)
    assert isinstance(simulation, Simulation)
    simulate(simulation, [OpenLoopLoad(Program("w", steps), [0.0])])
    return [call.end - call.start for call in simulation.calls]


def test_engines_on_one_gpu_contend_for_its_bandwidth() -> None:
    """Two halves of a GPU, each decoding, keep 63 to 88% of their pace (facts of MPS)."""
    twins = ["big", "twin"]
    halves = plan(*(replica(f"{one}-0", one, 0, share=0.5, memory=0.5) for one in twins))
    (alone,) = latencies(halves, ["big"])
    beside = latencies(halves, twins)
    assert latencies(halves, twins, contention=False) == pytest.approx([alone, alone])
    assert beside == pytest.approx([beside[0], beside[0]], rel=0.02)
    assert 0.6 < alone / beside[0] < 0.9


def test_on_gpus_of_their_own_they_do_not() -> None:
    assert latencies(SPREAD, ["big", "small"])[0] == latencies(SPREAD, ["big"])[0]


def test_a_faster_clock_shortens_all() -> None:
    """Plans profiled on emulated engines at several times real speed promise their wall time."""
    twice = msgspec.structs.replace(TIGHT, time_scale=2.0)
    pair = zip(latencies(TIGHT, ["big", "big"]), latencies(twice, ["big", "big"]), strict=True)
    assert all(fast == pytest.approx(slow / 2) for slow, fast in pair)


def test_the_urgent_go_first() -> None:
    def steps(_: random.Random) -> Steps:
        calls = yield [Ask("big", 2048, 10, priority=9 - i) for i in range(10)]
        return calls

    simulation = deployment(plan(replica("b", "big", 0)))
    assert isinstance(simulation, Simulation)
    simulate(simulation, [OpenLoopLoad(Program("w", steps), [0.0])])
    later = simulation.calls[1:]
    assert [c.ask.priority for c in sorted(later, key=lambda c: c.end)] == list(range(9))


def test_earlier_runs_go_first() -> None:
    """A later run's calls wait for those that the first one makes after them."""

    def steps(rng: random.Random) -> Steps:
        for _ in range(3):
            yield [Ask("big", 2048, 10) for _ in range(10)]

    simulation = deployment(plan(replica("b", "big", 0)))
    assert isinstance(simulation, Simulation)
    simulate(simulation, [OpenLoopLoad(Program("w", steps), [0.0, 0.01, 0.02])])
    ends = [one.end for one in simulation.runs]
    assert ends == sorted(ends)
    last = {run: max(c.start for c in simulation.calls if c.run == run) for run in range(3)}
    first = {run: min(c.end for c in simulation.calls if c.run == run) for run in range(3)}
    assert last[0] < first[2]


def test_calls_go_where_the_gateway_would_send_them() -> None:
    simulation = run(SPREAD, 2.0, 60, 3)
    used = [c.replica for c in simulation.calls if c.ask.llm == "big"]
    assert 0.3 < used.count("big-0") / len(used) < 0.7


def test_what_a_plan_cannot_do_is_said() -> None:
    full = deployment(plan(replica("a", "big", 0), replica("b", "small", 0)))
    assert isinstance(full, Infeasible)
    assert full.reason == (
        "GPU 0 of n: the memory shares of its replicas add up to 2, which is more than the GPU has"
    )
    none = deployment(plan(replica("a", "big", 0, memory=0.2)))
    assert isinstance(none, Infeasible)
    assert "leave no room for KV cache" in none.reason

    def steps(ask: Ask) -> Program:
        return Program("w", lambda _: iter_of(ask))

    def iter_of(ask: Ask) -> Steps:
        yield ask

    for ask, words in (
        (Ask("other", 1, 1), "calls 'other', which the plan lacks; it has big, small"),
        (Ask("big", 4000, 97), "takes 1 to 4096 tokens"),
        (Ask("big", 0, 1), "takes 1 to 4096 tokens"),
    ):
        simulation = deployment(SPREAD)
        assert isinstance(simulation, Simulation)
        with pytest.raises(BadInput, match=words):
            simulate(simulation, [OpenLoopLoad(steps(ask), [0.0])])


@given(st.floats(0.01, 100), st.integers(1, 300), st.floats(0, 5), SEEDS)
@settings(max_examples=50, deadline=None)
def test_arrivals_rise_within_their_window(rate: float, runs: int, cv: float, seed: int) -> None:
    times = arrivals(rate, runs, random.Random(seed), cv=cv)
    assert len(times) == runs
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= runs / rate * (1 + 1e-9)


@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_arrivals_are_as_bursty_as_asked(cv: float) -> None:
    times = arrivals(2.0, 20000, random.Random(0), cv=cv)
    gaps = [after - before for before, after in pairwise(times)]
    assert fmean(gaps) == pytest.approx(0.5, rel=0.01)
    found = (fmean((gap - 0.5) ** 2 for gap in gaps)) ** 0.5 / 0.5
    assert found == pytest.approx(cv, rel=0.1)


@pytest.mark.parametrize("effect", [1.0, 0, [], "nothing"])
def test_a_run_without_end_is_said(effect: float | list[float] | str) -> None:
    def nothing() -> Steps:
        yield from ()

    def steps(_: random.Random) -> Steps:
        while True:
            yield nothing() if isinstance(effect, str) else effect

    simulation = deployment(SPREAD)
    assert isinstance(simulation, Simulation)
    with pytest.raises(BadInput, match="run 0 of 'w' has made 100000 calls and waits"):
        simulate(simulation, [OpenLoopLoad(Program("w", steps), [0.0])])
