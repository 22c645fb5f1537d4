"""Axes hold what they were fitted to and tick at round numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.report.charts.axes import fit, seconds

POSITIVE = st.floats(1e-6, 1e6)


@given(st.lists(POSITIVE, min_size=1, max_size=8), st.booleans())
def test_everything_lies_on_the_axis_in_order(values: list[float], linear: bool) -> None:
    axis = fit(values, 40, 500, linear=linear)
    pixels = [axis.at(value) for value in sorted(values)]
    assert pixels == sorted(pixels)
    assert all(40 <= pixel <= 500 for pixel in pixels)
    assert all(axis.low <= value <= axis.high for value in values)


@given(POSITIVE, st.floats(1, 1e4))
def test_ticks_rise_and_are_few_and_distinct(low: float, factor: float) -> None:
    axis = fit([low, low * factor], 0, 300)
    places = [tick.at for tick in axis.ticks]
    assert places == sorted(places)
    assert len(places) <= 14
    assert len({tick.label for tick in axis.ticks}) == len(places)


@pytest.mark.parametrize("values", [[], [math.inf], [math.nan], [0.0], [-3.0]])
def test_nothing_to_fit_still_gives_an_axis(values: list[float]) -> None:
    assert fit(values, 0, 100).high > 0


def test_wide_spans_are_logarithmic_unless_told_otherwise() -> None:
    assert fit([1.0, 100.0], 0, 100).log
    assert not fit([1.0, 100.0], 0, 100, linear=True).log
    assert not fit([50.0, 100.0], 0, 100).log
    assert [tick.label for tick in fit([1.0, 100.0], 0, 100).ticks][:3] == ["1", "2", "5"]


def test_durations_below_a_second_are_in_milliseconds() -> None:
    labels = [tick.label for tick in fit([1.2], 0, 100, label=seconds).ticks]
    assert labels == ["0", "250 ms", "500 ms", "750 ms", "1 s"]
    labels = [tick.label for tick in fit([0.02, 3.0], 0, 100, label=seconds).ticks]
    assert labels == ["20 ms", "50 ms", "100 ms", "200 ms", "500 ms", "1 s", "2 s"]
    assert seconds(2e-5) == "20 \N{MICRO SIGN}s"
