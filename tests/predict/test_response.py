"""Latency between measured points: monotone, exact at the points, silent beyond them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from builders import curve, point
from scepsy.core.profile import Curve, Overlap
from scepsy.predict.response import never_falling, responses


def test_exact_at_points_reciprocally_linear_between_and_infinite_beyond() -> None:
    response = responses([curve("a", {2: 1.0, 6: 2.0, 9: 4.0})])["a", "w"]
    blend = response.at(1, 1.0)
    assert blend is not None
    got = blend.latency_at(np.array([0.0, 0.2, 0.4, 0.6, 0.9, 0.95]))
    assert got[:5] == pytest.approx([1.0, 1.0, 4 / 3, 2.0, 4.0])
    assert np.isinf(got[5])


def test_what_was_not_profiled_is_not_offered() -> None:
    response = responses([curve("a", {1: 1.0}, gpu_share=0.5), curve("a", {1: 1.0}, tp=4)])[
        "a", "w"
    ]
    assert response.at(2, 1.0) is None
    assert response.at(1, 0.4) is None
    assert response.at(1, 0.5) is not None
    assert response.at(1, 0.7) is None  # the whole GPU at TP1 was not measured
    assert response.at(4, 0.5) is None  # a share with TP


def test_between_shares_time_is_linear_in_one_over_share() -> None:
    curves = [
        curve("a", {1: 2.0, 9: 2.0}, gpu_share=0.5, max_throughput=10),
        curve("a", {2: 1.0, 18: 1.0}, gpu_share=1.0, max_throughput=20),
    ]
    blend = responses(curves)["a", "w"].at(1, 2 / 3)
    assert blend is not None
    assert blend.latency_at(np.array([0.5]))[0] == pytest.approx(1.5)  # 1/share halfway
    assert blend.max_throughput == pytest.approx(1 / (0.5 / 10 + 0.5 / 20))


@given(st.lists(st.tuples(st.floats(0.1, 10), st.integers(1, 50)), min_size=1, max_size=12))
def test_pooling_never_falls_and_keeps_the_weighted_mean(found: list[tuple[float, int]]) -> None:
    points = [point(i + 1, latency, samples) for i, (latency, samples) in enumerate(found)]
    fitted = never_falling(points)
    assert len(fitted) == len(points)
    assert (np.diff(fitted) >= -1e-12).all()
    weights = np.array([samples for _, samples in found])
    raw = np.array([latency for latency, _ in found])
    assert (fitted * weights).sum() == pytest.approx((raw * weights).sum())
    if (np.diff(raw) >= 0).all():
        assert fitted == pytest.approx(raw)


def test_noise_of_the_points_and_error_of_an_estimate_are_told_apart() -> None:
    noisy = [replace(point(rate, 1.0 + rate), noise=0.1) for rate in (0.0, 5.0)]
    measured = replace(curve("a", {0: 1.0}), points=tuple(noisy), max_throughput=10.0)
    blend = responses([measured])["a", "w"].at(1, 1.0)
    assert blend is not None
    assert blend.noise_at(0.5) == pytest.approx(0.1, rel=0.15)
    assert blend.noise_at(0.25) == pytest.approx(0.1 / 2**0.5, rel=0.15)  # two points say it
    assert blend.estimate_error_at(0.5) == 0
    estimated = responses([replace(measured, error=0.2)])["a", "w"].at(1, 1.0)
    assert estimated is not None
    assert estimated.noise_at(0.5) == blend.noise_at(0.5)
    assert estimated.estimate_error_at(0.5) == pytest.approx((math.pi / 2) ** 0.5 * 0.2 * 6.0)


def test_beyond_the_last_point_an_interval_reads_a_straight_line() -> None:
    blend = responses([curve("a", {2: 1.0, 6: 2.0, 9: 4.0})])["a", "w"].at(1, 1.0)
    assert blend is not None
    at = np.array([0.2, 0.4, 0.9, 1.05])
    assert blend.extended_at(at)[:3] == pytest.approx(blend.latency_at(at)[:3])
    assert blend.extended_at(at)[3] == pytest.approx(4.0 + 0.15 * 2.0 / 0.3)


def overlapping(known: dict[float, tuple[float, float, float]]) -> Curve:
    """A curve of one second at every rate. By rate: parallelism at one replica, and latency and
    parallelism where several replicas share the calls.
    """
    flat = curve("a", dict.fromkeys(known, 1.0))
    points = (
        replace(
            point,
            one=Overlap(latency=1.0, parallelism=alone),
            pooled=Overlap(latency=latency, parallelism=shared),
        )
        for point, (alone, latency, shared) in zip(flat.points, known.values(), strict=True)
    )
    return replace(flat, points=tuple(points))


def test_replicas_that_share_calls_are_faster_linearly_in_one_over_their_number() -> None:
    one = overlapping({1: (2.0, 0.7, 2.0), 9: (2.0, 0.9, 3.0)})
    blend = responses([one])["a", "w"].at(1, 1.0)
    assert blend is not None
    counts = np.array([1, 2, 3, 4, 400])
    got = blend.latency_at(np.full(5, 0.1), counts)
    assert got == pytest.approx([1.0, 1 - 0.3 * 2 / 3, 1 - 0.3 * 8 / 9, 0.7, 0.7])
    assert blend.latency_at(np.array([0.9]), 4)[0] == pytest.approx(0.9)
    assert blend.latency_at(np.array([0.9]))[0] == pytest.approx(1.0)
    assert np.isinf(blend.latency_at(np.array([0.95]), 4)[0])


def test_a_run_spends_the_latency_over_the_calls_that_overlap() -> None:
    one = overlapping({1: (2.0, 0.8, 2.5)})
    blend = responses([one])["a", "w"].at(1, 1.0)
    assert blend is not None
    spent = blend.spent_at(np.full(2, 0.1), np.array([1, 4]), 7.0)
    assert spent == pytest.approx([1 / 2.0, 0.8 / 2.5])
    unknown = responses([curve("a", {1: 1.0})])["a", "w"].at(1, 1.0)
    assert unknown is not None
    assert unknown.spent_at(np.array([0.1]), 4, 2.0)[0] == pytest.approx(0.5)


overlaps = st.tuples(st.floats(1, 4), st.floats(0.2, 1.5), st.floats(1, 4))


@settings(deadline=None)
@given(
    st.lists(overlaps, min_size=1, max_size=8),
    st.integers(1, 20),
    st.floats(0, 1),
)
def test_neither_more_replicas_nor_less_load_make_a_call_slower(
    found: list[tuple[float, float, float]], replicas: int, load: float
) -> None:
    one = overlapping({float(index + 1): each for index, each in enumerate(found)})
    blend = responses([one])["a", "w"].at(1, 1.0)
    assert blend is not None
    at = np.array([load, load, min(1.0, load + 0.1)])
    counts = np.array([replicas, replicas + 1, replicas])
    for seconds in (blend.latency_at(at, counts), blend.spent_at(at, counts, 2.0)):
        fewer, more, loaded = seconds
        assert more <= fewer * (1 + 1e-9)
        assert loaded >= fewer * (1 - 1e-9)
