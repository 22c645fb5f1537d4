"""Recorded runs, timed anew: what the pipeline cannot see, and what both must agree on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, curve, trace
from scepsy.core.plan import Allocation, LlmAllocation, Prediction, Target
from scepsy.core.trace import Call, Trace
from scepsy.predict import Pipeline, ReplayPredictor, recordings, responses
from scepsy.statistics.quantiles import quantile
from scepsy.traces.summarize import summarize

ALLOCATION = Allocation(
    llms=tuple(
        LlmAllocation(llm=llm, tp=1, gpu_share=1, memory_share=1, replicas=1) for llm in "ab"
    )
)


def both(traces: list[Trace], a: float, b: float) -> tuple[Prediction, Prediction]:
    """What pipeline and replay predict where calls take `a` and `b` seconds."""
    curves = [curve("a", {0: a, 9: a}), curve("b", {0: b, 9: b})]
    pipeline = Pipeline(summarize(traces), (Target(workflow="w", rate=0.01),), responses(curves))
    allocation = Allocation(
        llms=tuple(part for part in ALLOCATION.llms if part.llm in pipeline.llms)
    )
    replay = ReplayPredictor(pipeline, recordings(traces))
    return pipeline.predict(allocation), replay.predict(allocation)


def chain(lengths: list[float], gaps: list[float], run: str) -> Trace:
    """Calls of a and b by turns, each after a gap."""
    calls: list[Call] = []
    now = 0.0
    for index, (length, gap) in enumerate(zip(lengths, gaps, strict=True)):
        now += gap
        calls.append(call("ab"[index % 2], now, now + length, run=run, call=f"{run}/{index}"))
        now += length
    return trace(*calls, run=run)


seconds = st.floats(0.01, 5)


@given(
    st.lists(st.lists(st.tuples(seconds, seconds), min_size=2, max_size=6), min_size=1, max_size=5),
    seconds,
    seconds,
)
def test_of_calls_one_after_another_both_say_the_same(
    drawn: list[list[tuple[float, float]]], a: float, b: float
) -> None:
    traces = [
        chain([length for length, _ in run], [gap for _, gap in run], f"r{number}")
        for number, run in enumerate(drawn)
    ]
    pipeline, replay = both(traces, a, b)
    assert replay.objective == pytest.approx(pipeline.objective, rel=1e-6)


@given(seconds, seconds, seconds, seconds)
def test_of_two_llms_at_once_the_slower_one_counts(
    was_a: float, was_b: float, a: float, b: float
) -> None:
    """Then a second of a tool, and one more call."""
    end = max(was_a, was_b)
    traces = [trace(call("a", 0, was_a), call("b", 0, was_b), call("a", end + 1, end + 1 + was_a))]
    _, replay = both(traces, a, b)
    assert replay.workflows[0].latency_mean == pytest.approx(max(a, b) + 1 + a)


@given(st.lists(seconds, min_size=1, max_size=30), seconds)
def test_calls_keep_their_own_length_relative_to_the_mean(lengths: list[float], a: float) -> None:
    traces = [trace(call("a", 0, one, run=f"r{i}"), run=f"r{i}") for i, one in enumerate(lengths)]
    mean = sum(lengths) / len(lengths)
    flow = both(traces, a, 1.0)[1].workflows[0]
    expected = sorted(one * a / mean for one in lengths)
    assert flow.latency_mean == pytest.approx(a)
    assert flow.latency_p50 == pytest.approx(quantile(expected, 0.5))
    assert flow.latency_p90 == pytest.approx(quantile(expected, 0.9))
    assert (flow.percentile_runs, flow.percentiles_by) == (len(lengths), "replay")


@pytest.mark.parametrize("runs", [99, 100])
def test_fewer_than_a_hundred_recorded_runs_have_no_p99(runs: int) -> None:
    traces = [trace(call("a", 0, 1 + i, run=f"r{i}"), run=f"r{i}") for i in range(runs)]
    mean = (1 + runs) / 2
    flow = both(traces, mean, 1.0)[1].workflows[0]
    expected = None if runs < 100 else pytest.approx(quantile([*map(float, range(1, 101))], 0.99))
    assert flow.latency_p99 == expected


def test_where_no_run_tells_its_times_the_pipeline_stands() -> None:
    traces = [trace(call("a", 0, 0), call("b", 1, 1))]
    pipeline, replay = both(traces, 1.0, 2.0)
    assert replay == pipeline


def test_an_llm_that_only_untimed_runs_called_leaves_the_pipelines_answer() -> None:
    """Its calls' durations are not known, so the timed runs do not stand for the workflow."""
    timed = trace(call("a", 0, 1, run="r1"), run="r1")
    untimed = trace(call("a", 0, 1, run="r2"), call("b", 1, 1, run="r2"), run="r2")
    pipeline, replay = both([timed, untimed], 1.0, 2.0)
    assert replay.workflows == pipeline.workflows
