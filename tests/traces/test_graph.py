"""What waited for what, rebuilt from timestamps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, run_latency, trace
from scepsy.core.trace import Trace
from scepsy.traces.graph import graph_of


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    times = st.integers(0, 40).map(lambda tick: tick / 4)
    spans = draw(st.lists(st.tuples(times, times).map(sorted), min_size=1, max_size=12))
    return trace(*(call("x", start, end, call=str(i)) for i, (start, end) in enumerate(spans)))


@given(traces())
def test_with_the_recorded_durations_it_takes_the_recorded_time(recorded: Trace) -> None:
    graph = graph_of(recorded)
    durations = [one.duration for one in graph.calls]
    assert run_latency(graph, durations) == pytest.approx(recorded.latency)


@given(traces(), st.data())
def test_who_waits_is_slowed_by_all_that_had_ended_before(
    recorded: Trace, data: st.DataObject
) -> None:
    """The short list of what a call waited for says the same as the long one."""
    graph = graph_of(recorded)
    durations = data.draw(
        st.lists(
            st.floats(0, 10), min_size=len(graph.calls), max_size=len(graph.calls), unique=True
        )
    )
    ends: list[float] = []
    for index, (wait, duration) in enumerate(zip(graph.waits, durations, strict=True)):
        start = max((ends[other] for other in wait.after), default=0.0)
        before = [
            ends[other]
            for other in range(index)
            if graph.calls[other].end <= graph.calls[index].start
        ]
        assert all(end <= start for end in before)
        ends.append(start + wait.gap + duration)


def test_fan_out_and_join() -> None:
    recorded = trace(
        call("plan", 0, 1), call("work", 1.5, 3), call("work", 1.5, 4), call("join", 4.25, 5)
    )
    graph = graph_of(recorded)
    assert [wait.after for wait in graph.waits] == [(), (0,), (0,), (1, 2)]
    assert [wait.gap for wait in graph.waits] == [0, 0.5, 0.5, 0.25]
    assert run_latency(graph, [1, 6, 1, 1]) == 0 + 1 + 0.5 + 6 + 0.25 + 1


def test_a_call_that_the_run_did_not_wait_for() -> None:
    recorded = trace(call("x", 0, 1), call("log", 1, 9))
    left = Trace(run="r", workflow="w", start=0, end=2, calls=recorded.calls)
    assert run_latency(graph_of(left), [1, 50]) == 2


def test_failed_calls_are_left_out() -> None:
    recorded = trace(call("x", 0, 1, status=500, error="no"), call("x", 1, 2))
    graph = graph_of(recorded)
    assert len(graph.calls) == 1
    assert graph.waits[0].gap == 1
