"""What a predicted mean may be off by, in words."""

from __future__ import annotations

from msgspec.structs import replace

from scepsy.core.plan import IntervalParts, Prediction, WorkflowPrediction
from scepsy.planning.interval_text import sentences
from scepsy.predict.interval import interval

PARTS = IntervalParts(runs=0.09, curves=0.04, model=0.02, estimate=0.0, traced=100)


def said(parts: IntervalParts | None) -> str:
    low, high = interval(5.2, parts) if parts is not None else (None, None)
    flow = WorkflowPrediction(
        workflow="rag",
        target_rate=1.0,
        throughput=2.0,
        latency_mean=5.2,
        latency_low=low,
        latency_high=high,
        interval_parts=parts,
        bottleneck="a",
        stages=(),
    )
    (text,) = sentences(Prediction(objective=5.2, workflows=(flow,), utilisation={}))
    return text


def test_the_largest_cause_comes_first_and_says_what_makes_it_smaller() -> None:
    assert said(PARTS) == (
        "The mean latency of rag is predicted as 5.2 s; with 90% confidence it lies between 4.7 "
        "and 5.75 s (±9% because only 100 runs were traced: about 1500 more would halve the "
        "interval; ±4% for noise of the latency curves: longer profiling makes it smaller; ±2% for "
        "errors of the predictor at this load)"
    )
    estimated = said(replace(PARTS, estimate=0.2))
    assert "(±22% because curves are estimated: `scepsy profile` measures them; ±9%" in estimated


def test_where_other_causes_are_too_large_more_runs_halve_their_own_part_only() -> None:
    assert "about 300 more would halve this part" in said(replace(PARTS, curves=0.2))


def test_a_wide_interval_is_a_factor() -> None:
    assert "a factor of 12 because only 3 runs were traced" in said(
        replace(PARTS, runs=2.5, traced=3)
    )
    assert "(a factor of 148 because" in said(replace(PARTS, runs=5.0, traced=2))


def test_without_an_interval_it_says_what_is_missing() -> None:
    assert "without an interval: that needs at least 5 traced runs" in said(None)
