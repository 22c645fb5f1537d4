"""Measured points move an estimate to where they are."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import curve, point
from scepsy.core.profile import Curve, ProfilePoint
from scepsy.estimate.correct import correct

ESTIMATE = msgspec.structs.replace(
    curve("g", {0.0: 1.0, 2.0: 1.1, 5.0: 1.5, 8.0: 2.5, 9.5: 5.0}, max_throughput=10.0),
    source="modelled",
    error=0.11,
)


def real(scale: float, host: float, rate: float) -> ProfilePoint:
    known = ESTIMATE.points
    at = np.interp(rate * scale, [p.rate for p in known], [p.latency for p in known])
    return point(rate, float(scale * at + host))


@given(st.floats(0.6, 1.6))
def test_one_point_settles_the_scale(scale: float) -> None:
    found = correct(ESTIMATE, [real(scale, 0.0, 3.0)])
    assert found.max_throughput == pytest.approx(10.0 / scale, rel=0.01)
    assert found.points[0].latency == pytest.approx(scale, rel=0.01)
    assert found.source == "corrected"
    assert found.error < ESTIMATE.error


@given(st.floats(0.7, 1.4), st.floats(0.0, 1.0))
def test_several_points_settle_the_overhead_too(scale: float, host: float) -> None:
    found = correct(ESTIMATE, [real(scale, host, rate) for rate in (0.0, 2.0, 4.0, 6.0)])
    for rate in (1.0, 3.0, 5.0):
        assert _at(found, rate) == pytest.approx(real(scale, host, rate).latency, rel=0.03)


def test_nothing_measured_changes_nothing() -> None:
    assert correct(ESTIMATE, []) is ESTIMATE


def test_a_rate_that_was_carried_is_not_beyond_saturation() -> None:
    found = correct(ESTIMATE, [point(14.0, 1.0)])
    assert found.max_throughput >= 14.0


def _at(found: Curve, rate: float) -> float:
    rates, latencies = ([p.rate for p in found.points], [p.latency for p in found.points])
    return float(np.interp(rate, rates, latencies))
