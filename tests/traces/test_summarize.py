"""Demand is what the traces say, by hand and by property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, trace
from scepsy.errors import BadInput
from scepsy.statistics.quantiles import quantile
from scepsy.traces.summarize import spread, summarize, union_length

intervals = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0.001, 10)).map(
        lambda pair: (pair[0], pair[0] + pair[1])
    ),
    min_size=1,
    max_size=20,
)


def test_fan_out_of_three_then_one() -> None:
    run = trace(call("a", 0, 2), call("a", 0, 2), call("a", 0, 1), call("b", 3, 4), call("a", 5, 6))
    (demand,) = summarize([run])
    a, b = demand.llms
    assert (a.llm, a.calls, a.busy) == ("a", 4, 3)
    assert a.parallelism == pytest.approx(6 / 3)
    assert (b.calls, b.parallelism, b.busy) == (1, 1, 1)
    assert demand.latency.mean == 6
    assert demand.other_time == pytest.approx(2)  # two seconds in which no LLM worked
    assert a.time_share.mean == pytest.approx(6 / 7)


def test_overlap_of_different_llms_is_negative_other_time() -> None:
    (demand,) = summarize([trace(call("a", 0, 2), call("b", 0, 2))])
    assert demand.other_time == pytest.approx(-2)


def test_calls_are_averaged_over_all_runs_and_failures_left_out() -> None:
    runs = [
        trace(call("a", 0, 1), call("b", 1, 2), run="1"),
        trace(call("a", 0, 1), call("a", 1, 2, status=500, error="died"), run="2"),
        trace(call("a", 0, 9), run="3", ok=False),
    ]
    (demand,) = summarize(runs)
    assert demand.runs == 2
    assert [llm.calls for llm in demand.llms] == [1, 0.5]


def test_a_workflow_without_a_good_run_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"'w'.*none of its 1 runs"):
        summarize([trace(call("a", 0, 1, status=500, error="x"))])


@given(intervals)
def test_union_is_between_longest_and_sum(found: list[tuple[float, float]]) -> None:
    lengths = [end - start for start, end in found]
    assert max(lengths) - 1e-9 <= union_length(found) <= sum(lengths) + 1e-9
    assert union_length(found) == pytest.approx(union_length(found + found))


@given(intervals, st.integers(1, 3))
def test_the_pipeline_reproduces_its_own_traces(
    found: list[tuple[float, float]], copies: int
) -> None:
    """n * duration / p + other is the mean latency, whatever the runs looked like."""
    calls = [call(f"llm{index % 3}", *interval) for index, interval in enumerate(found)]
    (demand,) = summarize([trace(*calls, run=str(copy)) for copy in range(copies)])
    stages = sum(llm.calls * llm.duration / llm.parallelism for llm in demand.llms)
    assert stages + demand.other_time == pytest.approx(demand.latency.mean)


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=30))
def test_spread_is_ordered(values: list[float]) -> None:
    found = spread(values)
    assert min(values) <= found.p10 <= found.p50 <= found.p90 <= max(values)
    assert quantile(sorted(values), 1.0) == max(values)
