"""What a continuous-batching engine never does, whatever it is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.core.llm import LlmSpec
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.step_time import StepLoad, StepTimer
from scepsy.sim.engine.batch import EngineSequence, EngineStep, StepResult
from scepsy.sim.engine.continuous_batching import SimulatedEngine

LLM = LlmSpec(name="x", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128)
TIMER = StepTimer(LLM, gpu_constants("h100"))


def engine(
    kv_tokens: int = 65536, max_sequences: int = 4, step_tokens: int = 2048
) -> SimulatedEngine:
    return SimulatedEngine(
        TIMER, kv_tokens=kv_tokens, max_sequences=max_sequences, step_tokens=step_tokens
    )


@st.composite
def workloads(draw: st.DrawFn) -> list[EngineSequence]:
    """Up to 12 sequences, some of which share a prefix."""
    sequences: list[EngineSequence] = []
    for id_ in range(draw(st.integers(1, 12))):
        prompt = draw(st.integers(1, 150))
        family, common = draw(st.integers(0, 2)), draw(st.integers(0, 9))
        blocks = tuple(
            family * 100 + i if i < common else id_ * 1000 + i + 500 for i in range(prompt // 16)
        )
        sequences.append(EngineSequence(id_, prompt, draw(st.integers(0, 60)), blocks))
    return sequences


def run(
    machine: SimulatedEngine, *, leap: bool = False, cancel: frozenset[int] = frozenset()
) -> list[StepResult]:
    """Until idle, checking the bounds at every step."""
    results: list[StepResult] = []
    while not machine.idle:
        step = machine.schedule()
        for id_ in cancel if len(results) == 2 else ():
            machine.cancel(id_)
        results.append(machine.commit(step, step.most if leap else 1))
        assert machine.kv.held + machine.kv.idle <= machine.kv.capacity
        assert len(results) < 10_000
    assert machine.kv.held == 0
    return results


@given(workloads(), st.integers(16, 60), st.integers(1, 6), st.integers(8, 200))
@settings(max_examples=150, deadline=None)
def test_calls_and_tokens_are_conserved(
    sequences: list[EngineSequence], blocks: int, seats: int, budget: int
) -> None:
    machine = engine(blocks * 16, seats, budget)
    for sequence in sequences:
        machine.add(sequence)
    results = run(machine)
    finished = [done.id for result in results for done in result.finished]
    assert sorted(finished) == [s.id for s in sequences]
    assert machine.counters.generation_tokens == sum(s.output_tokens for s in sequences)
    assert machine.counters.prompt_tokens == sum(s.prompt_tokens for s in sequences)


@given(workloads(), st.integers(16, 60), st.integers(1, 6))
@settings(max_examples=150, deadline=None)
def test_leaping_equals_stepping(sequences: list[EngineSequence], blocks: int, seats: int) -> None:
    walker, leaper = engine(blocks * 16, seats), engine(blocks * 16, seats)
    for sequence in sequences:
        walker.add(sequence)
        leaper.add(sequence)
    walked, leapt = run(walker), run(leaper, leap=True)
    assert len(leapt) <= len(walked)
    assert [r.started for r in leapt if r.started] == [r.started for r in walked if r.started]
    assert leaper.counters.busy_seconds == pytest.approx(walker.counters.busy_seconds)
    assert replace(leaper.counters, busy_seconds=0) == replace(walker.counters, busy_seconds=0)
    order = [
        [done for result in results for done in result.finished] for results in (walked, leapt)
    ]
    assert order[0] == order[1]


@given(workloads(), st.integers(16, 60), st.frozensets(st.integers(0, 11)))
@settings(max_examples=80, deadline=None)
def test_cancelling_frees_everything_and_disturbs_nobody(
    sequences: list[EngineSequence], blocks: int, gone: frozenset[int]
) -> None:
    machine = engine(blocks * 16)
    for sequence in sequences:
        machine.add(sequence)
    finished = {done.id for result in run(machine, cancel=gone) for done in result.finished}
    assert finished >= {s.id for s in sequences} - gone


@given(workloads())
@settings(max_examples=30, deadline=None)
def test_the_same_calls_give_the_same_steps(sequences: list[EngineSequence]) -> None:
    one, other = engine(512), engine(512)
    for sequence in sequences:
        one.add(sequence)
        other.add(sequence)
    assert run(one) == run(other)


def test_one_call_alone_takes_the_closed_form() -> None:
    machine = engine()
    machine.add(EngineSequence(0, 5000, 100))
    chunks = [(0, 2048), (2048, 2048), (4096, 904)]
    prefill = sum(
        TIMER.seconds(StepLoad(prefill_tokens=n, attended=n * (before + n / 2)))
        for before, n in chunks
    )
    decode = sum(TIMER.seconds(StepLoad(decodes=1, decode_kv=5000 + i)) for i in range(1, 100))
    assert sum(result.duration for result in run(machine, leap=True)) == pytest.approx(
        prefill + decode
    )


def test_a_known_prefix_is_not_computed_again() -> None:
    machine = engine()
    machine.add(EngineSequence(0, 1000, 1, tuple(range(62))))
    run(machine)
    machine.add(EngineSequence(1, 1000, 1, tuple(range(62))))
    results = run(machine)
    assert results[-1].finished[0].cached_tokens == 62 * 16
    assert len(results) == 1
    assert (machine.counters.prefix_queries, machine.counters.prefix_hits) == (2000, 992)


def test_a_wholly_known_prompt_still_computes_its_last_token() -> None:
    machine = engine()
    machine.add(EngineSequence(0, 64, 1, (1, 2, 3, 4)))
    run(machine)
    machine.add(EngineSequence(1, 64, 1, (1, 2, 3, 4)))
    results = run(machine)
    assert results[-1].finished[0].cached_tokens == 48


def test_a_newcomer_joins_the_decoders() -> None:
    machine = engine()
    machine.add(EngineSequence(0, 100, 50))
    machine.step()
    machine.add(EngineSequence(1, 100, 50))
    assert machine.step().started == [1]
    assert (machine.generated(0), machine.generated(1)) == (2, 1)


def test_short_of_blocks_the_latest_starts_over() -> None:
    machine = engine(kv_tokens=16 * 16)
    machine.add(EngineSequence(0, 100, 100))
    machine.add(EngineSequence(1, 100, 100))
    order = [done.id for result in run(machine) for done in result.finished]
    assert order == [0, 1]
    assert machine.counters.preemptions >= 1


def test_what_can_never_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="more KV than the engine has"):
        engine(kv_tokens=160).add(EngineSequence(0, 150, 20))


@given(st.floats(1e-4, 1.0), st.floats(0, 1e-4), st.integers(1, 500), st.floats(0, 2000))
def test_steps_by_is_the_first_boundary_at_or_after(
    first: float, growth: float, most: int, seconds: float
) -> None:
    step = EngineStep(first, growth, most)
    steps = step.steps_by(seconds)
    assert 1 <= steps <= most
    assert steps == most or step.duration(steps) >= seconds * (1 - 1e-6)
    assert steps == 1 or step.duration(steps - 1) <= seconds * (1 + 1e-6)
