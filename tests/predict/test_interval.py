"""The interval of a predicted mean, from its parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from scepsy.core.plan import IntervalParts
from scepsy.predict.interval import half_width, interval, model_error, runs_to_halve

widths = st.just(0.0) | st.floats(1e-6, 2)


@st.composite
def parts(draw: st.DrawFn) -> IntervalParts:
    runs, curves, model, estimate = (draw(widths) for _ in range(4))
    return IntervalParts(
        runs=runs, curves=curves, model=model, estimate=estimate, traced=draw(st.integers(2, 5000))
    )


@given(parts(), st.floats(0.01, 1e4))
def test_it_holds_the_mean_and_is_as_wide_as_its_widest_part(
    one: IntervalParts, mean: float
) -> None:
    low, high = interval(mean, one)
    assert 0 < low <= mean <= high
    assert low * high == pytest.approx(mean**2)
    widest = max(one.runs, one.curves, one.model, one.estimate)
    assert widest - 1e-9 <= half_width(one) <= 2 * widest + 1e-9


@given(parts())
def test_that_many_more_runs_halve_the_interval(one: IntervalParts) -> None:
    more = runs_to_halve(one)
    if more is None:
        assert half_width(replace(one, runs=0.0)) >= half_width(one) / 2
        return
    smaller = one.runs * (one.traced / (one.traced + more)) ** 0.5
    assert half_width(replace(one, runs=smaller)) <= half_width(one) / 2 + 1e-9


def test_alone_three_times_as_many_more_runs_halve_it() -> None:
    alone = IntervalParts(runs=0.2, curves=0.0, model=0.0, estimate=0.0, traced=100)
    assert runs_to_halve(alone) == 300


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_predictor_is_no_surer_at_more_load(low: float, high: float) -> None:
    assert model_error(min(low, high)) <= model_error(max(low, high))
