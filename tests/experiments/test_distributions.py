"""Two samples beside each other, and a simulation of what was simulated."""

from __future__ import annotations

import pytest
from experiments.distributions import compare, distance
from hypothesis import given
from hypothesis import strategies as st

SAMPLES = st.lists(st.floats(0.001, 1e3), min_size=1, max_size=30)


@given(SAMPLES, SAMPLES)
def test_distance_is_one(one: list[float], other: list[float]) -> None:
    """A metric on distributions: none to itself, symmetric, at most 1, which is reached apart."""
    assert distance(one, one) == 0
    assert 0 <= distance(one, other) == distance(other, one) <= 1
    assert distance(one, [max(one) + 1]) == 1
    assert distance(one * 2, other) == pytest.approx(distance(one, other))


@given(SAMPLES, st.floats(0.5, 2.0))
def test_errors_are_relative_to_what_was_observed(observed: list[float], factor: float) -> None:
    found = compare([factor * value for value in observed], observed)
    for name in ("mean", "p50", "p90", "p99"):
        assert found[f"{name}_error"] == pytest.approx(factor - 1, abs=1e-9)
    assert found["samples"] == len(observed)
