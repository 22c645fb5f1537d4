"""Calls of a run that are open at once."""

from __future__ import annotations

import pytest

from scepsy.curves.overlap import parallelism
from scepsy.curves.rounds import Sample


def test_parallelism_is_the_calls_of_a_run_that_are_open_at_once() -> None:
    calls = [(0, 0.0, 2.0), (0, 1.0, 2.0), (0, 5.0, 1.0), (1, 0.0, 4.0)]
    samples = [Sample("w", unit, sent, latency, 1, 1) for unit, sent, latency in calls]
    assert parallelism(samples) == pytest.approx(9 / 8)
    assert parallelism([]) == 1.0
