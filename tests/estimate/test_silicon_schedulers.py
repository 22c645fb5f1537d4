"""What each engine puts into its steps: nothing is lost, and what sets it apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from experiments.silicon.points import read_points
from experiments.silicon.recipes import whole_experts
from experiments.silicon.schedulers import NoEviction, PromptsFirst, Watched
from hypothesis import given
from hypothesis import strategies as st

from scepsy.hardware.step_time import StepLoad
from scepsy.sim.cluster.event_queue import EventQueue
from scepsy.sim.engine.batch import EngineSequence

KV, STEP = 800, 256


class Unit:
    """A second per step, whatever is in it; remembers what was."""

    per_kv_token = 0.0

    def __init__(self) -> None:
        self.loads: list[StepLoad] = []

    def cost(self, load: StepLoad) -> tuple[float, float]:
        self.loads.append(load)
        return 1.0, 0.0


ENGINES: dict[str, Callable[[Unit], Watched]] = {
    "vllm": lambda timer: Watched(EventQueue(), timer, KV, STEP),
    "sglang": lambda timer: PromptsFirst(EventQueue(), timer, KV, STEP),
    "trtllm": lambda timer: NoEviction(EventQueue(), timer, KV, STEP, 0),
    "trtllm, held back": lambda timer: NoEviction(EventQueue(), timer, KV, STEP, 5),
}

calls = st.lists(
    st.tuples(st.integers(1, 250), st.integers(1, 250), st.integers(0, 4)), min_size=1, max_size=12
)


def run(engine: Watched, some: list[tuple[int, int, int]]) -> list[int]:
    """Who finished, in order; a call comes that many steps after the one before it."""
    finished: list[int] = []
    for id_, (prompt, output, later) in enumerate(some):
        for _ in range(later):
            if not engine.idle:
                finished += [one.id for one in engine.step().finished]
        engine.add(EngineSequence(id_, prompt, output))
    while not engine.idle:
        step = engine.schedule()
        assert step.most >= 1
        finished += [one.id for one in engine.commit(step, step.most).finished]
    return finished


@pytest.mark.parametrize("name", ENGINES)
@given(some=calls)
def test_every_call_ends_once_with_all_its_tokens(
    name: str, some: list[tuple[int, int, int]]
) -> None:
    engine = ENGINES[name](Unit())
    assert sorted(run(engine, some)) == list(range(len(some)))
    assert engine.kv.held == 0
    if not engine.counters.preemptions:
        assert engine.counters.generation_tokens == sum(output for _, output, _ in some)


@given(some=calls)
def test_tensorrt_takes_nobodys_blocks_and_splits_no_prompt(
    some: list[tuple[int, int, int]],
) -> None:
    timer = Unit()
    engine = NoEviction(EventQueue(), timer, KV, STEP, 0)
    run(engine, some)
    assert engine.counters.preemptions == 0
    assert sum(load.prefill_tokens > 0 for load in timer.loads) <= len(some)


@given(some=calls)
def test_in_sglang_nobody_decodes_while_prompts_are_computed(
    some: list[tuple[int, int, int]],
) -> None:
    timer = Unit()
    run(PromptsFirst(EventQueue(), timer, KV, STEP), some)
    assert all(load.decodes == 0 for load in timer.loads if load.prefill_tokens)


def test_tensorrt_holds_a_prompt_back_while_somebody_decodes() -> None:
    engine = NoEviction(EventQueue(), Unit(), KV, STEP, 5)
    engine.add(EngineSequence(0, 10, 100))
    assert engine.step().started == [0]
    engine.add(EngineSequence(1, 10, 100))
    assert [engine.step().started for _ in range(6)] == [[], [], [], [], [], [1]]


def test_experts_are_dealt_out_where_the_launch_script_says_so() -> None:
    eight = [p for p in read_points() if p.llm == "minimax-m2.5" and (p.gpu, p.tp) == ("h200", 8)]
    assert len(eight) == 36
    assert {p.ep for p in eight} == {1}
    assert {whole_experts(p) for p in eight} == {8}
