"""Many runs timed at once, against each timed alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, run_latency, trace
from scepsy.core.trace import Trace
from scepsy.predict.run_times import run_times
from scepsy.traces.graph import graph_of

ticks = st.integers(0, 40).map(lambda tick: tick / 4)
spans = st.tuples(st.sampled_from("ab"), st.tuples(ticks, ticks).map(sorted))


@st.composite
def recorded(draw: st.DrawFn) -> list[Trace]:
    runs = draw(st.lists(st.lists(spans, min_size=1, max_size=12), min_size=1, max_size=5))
    return [
        trace(*(call(llm, *span, call=str(i)) for i, (llm, span) in enumerate(run)), run=str(n))
        for n, run in enumerate(runs)
    ]


@given(recorded(), st.floats(0.1, 5), st.floats(0.1, 5))
def test_all_runs_at_once_take_as_long_as_each_alone(
    traces: list[Trace], a: float, b: float
) -> None:
    graphs = [graph_of(one) for one in traces]
    slower = {"a": a, "b": b}
    alone = [
        run_latency(graph, [slower[one.llm] * one.duration for one in graph.calls])
        for graph in graphs
    ]
    assert run_times(graphs).latencies(slower) == pytest.approx(alone)


@given(recorded())
def test_seconds_in_an_llm_are_those_of_its_calls(traces: list[Trace]) -> None:
    found = run_times([graph_of(one) for one in traces])
    for llm in "abc":
        expected = [sum(c.duration for c in one.calls if c.llm == llm) for one in traces]
        assert found.seconds_in(llm) == pytest.approx(expected)
