"""A few runs that stand for many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, trace
from scepsy.core.llm import LlmSpec
from scepsy.core.trace import Trace
from scepsy.planning.simulated_runs import runs_to_simulate, usable_runs


def runs(lengths: list[float], workflow: str = "w", *, ok: bool = True) -> list[Trace]:
    return [
        trace(call("a", 0, one, workflow=workflow), run=f"{workflow}{i}", workflow=workflow, ok=ok)
        for i, one in enumerate(lengths)
    ]


lengths = st.lists(st.floats(0.1, 100), min_size=1, max_size=60)


@given(lengths, st.integers(1, 80), st.integers(0, 9))
def test_simulated_runs_are_spread_evenly_over_the_trace(
    of: list[float], wanted: int, seed: int
) -> None:
    """Each stands for as many neighbours in the order of length, so sums of the shortest and of the
    longest of each group hold the sum of all.
    """
    chosen = runs_to_simulate(runs(of), {"w": wanted}, seed)
    assert len(chosen) == min(wanted, len(of)) == len({one.run for one in chosen})
    step = len(of) / len(chosen)
    picked, ranked = sorted(one.latency for one in chosen), sorted(of)
    for place, length in enumerate(picked):
        assert ranked[int(place * step)] <= length
        assert length <= ranked[min(len(of) - 1, int((place + 1) * step))]


def test_all_successful_runs_are_taken_if_there_are_too_few() -> None:
    good, failed, other = runs([1.0, 2.0]), runs([9.0], ok=False), runs([3.0], "v")
    assert runs_to_simulate([*good, *failed, *other], {"w": 5}, 0) == good


def test_each_workflow_has_its_own_number_of_simulated_runs() -> None:
    many = [*runs([1.0] * 50), *runs([1.0] * 50, "v")]
    chosen = runs_to_simulate(many, {"w": 7, "v": 20}, 0)
    assert [sum(one.workflow == name for one in chosen) for name in ("w", "v")] == [7, 20]
    assert sum(one.latency for one in chosen) == pytest.approx(27.0)


def test_runs_are_made_usable_and_each_change_is_said() -> None:
    traces = [
        trace(call("m", 0, 1, run=f"r{i}", prompt_tokens=prompt, output_tokens=output), run=f"r{i}")
        for i, (prompt, output) in enumerate(((100, 10), (100, 0), (900, 10)))
    ]
    found, notes = usable_runs(traces, [LlmSpec(name="m", max_context=500)])
    assert [one.run for one in found] == ["r0", "r1"]
    assert found[1].calls[0].output_tokens == 10
    assert "have no count of output tokens: taken as 10" in notes[0]
    assert "longer than the 500 tokens" in notes[1]
    assert usable_runs(found, [LlmSpec(name="m", max_context=500)]) == (found, [])
