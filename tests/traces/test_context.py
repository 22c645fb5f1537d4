"""Calls that are longer than their LLM takes are named together, with the effect of leaving them
out.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, trace
from scepsy.core.trace import Trace
from scepsy.errors import BadInput
from scepsy.traces.context import long_calls, refuse_long_calls, within_context


def run(number: int, **tokens: int) -> Trace:
    """A run with one call of each LLM: so many prompt tokens, and ten of output."""
    calls = [
        call(llm, 0, 1, run=f"r{number}", prompt_tokens=prompt, output_tokens=10)
        for llm, prompt in tokens.items()
    ]
    return trace(*calls, run=f"r{number}")


def test_all_are_named_together_with_the_runs_that_they_are_in() -> None:
    traces = [run(0, a=90, b=90), run(1, a=91, b=500), run(2, a=300, b=90), run(3, a=90, b=90)]
    limits = {"a": 100, "b": 400}
    with pytest.raises(BadInput) as refused:
        refuse_long_calls(traces, limits, "do something")
    assert str(refused.value) == (
        "2 of 4 calls of 'a' in 'w' are longer than the 100 tokens that it takes (the longest: "
        "310); they are in 2 of 4 runs, and a plan without these runs would be for runs with 44% "
        "fewer tokens; 1 of 4 calls of 'b' in 'w' are longer than the 400 tokens that it takes "
        "(the longest: 510); they are in 1 of 4 runs, and a plan without these runs would be for "
        "runs with 24% fewer tokens: do something"
    )
    assert within_context(traces, limits) == [traces[0], traces[3]]
    assert "no run is left" in str(*long_calls([traces[2]], limits))


@given(st.lists(st.integers(1, 200), min_size=1, max_size=20), st.integers(1, 250))
def test_the_runs_that_are_left_have_no_longer_call(prompts: list[int], limit: int) -> None:
    traces = [run(number, a=prompt) for number, prompt in enumerate(prompts)]
    left = within_context(traces, {"a": limit})
    assert not long_calls(left, {"a": limit})
    assert len(traces) - len(left) == sum(one.runs for one in long_calls(traces, {"a": limit}))
    refuse_long_calls(left, {"a": limit}, "")
