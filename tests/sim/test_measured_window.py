"""Which simulated runs are measured."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from scepsy.sim.results.measure import in_window


@dataclass(frozen=True)
class Run:
    workflow: str
    arrival: float


@pytest.mark.parametrize("arrival", [0.0, 5.0, 95.0])
def test_a_workflow_without_a_run_in_the_window_does_not_vanish(arrival: float) -> None:
    often = [Run("often", float(time)) for time in range(101)]
    found = in_window(SimpleNamespace(runs=[*often, Run("rare", arrival)]), 0.25)  # pyright: ignore
    assert [run.arrival for run in found["often"]] == list(range(25, 91))
    assert found["rare"] == [Run("rare", arrival)]
