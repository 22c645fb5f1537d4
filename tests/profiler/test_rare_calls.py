"""A workflow that calls an LLM too rarely for a round under load still gets a curve."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import call, curve, point, trace
from scepsy.core.profile import Curve
from scepsy.curves.bursts import Stream, bursts_of
from scepsy.curves.rounds import Round, RoundKind, Sample
from scepsy.errors import EngineFailed
from scepsy.profiler.curves import curves
from scepsy.profiler.rare_calls import slowed_down, well_measured
from scepsy.profiler.sweep.next_round import SweepSettings

IDLE, RARE = 0.1, 0.3
"""Seconds of a call alone: of the workflow that often calls, and of the one that rarely does."""


def stream() -> Stream:
    runs = {
        name: bursts_of(
            [
                trace(
                    call(
                        "g",
                        0.0,
                        duration,
                        run=str(number),
                        workflow=name,
                        prompt_tokens=100,
                        output_tokens=20,
                    ),
                    run=str(number),
                    workflow=name,
                )
                for number in range(4)
            ],
            "g",
        )
        for name, duration in (("often", IDLE), ("rare", RARE))
    }
    return Stream(runs, {"often": 50.0, "rare": 1.0})


def measured(kind: RoundKind, rate: float, calls: list[tuple[str, float]]) -> Round:
    """A round of calls that arrive evenly; each is (workflow, latency)."""
    gap = {"idle": 1.0, "full": 0.1}.get(kind) or 1 / rate
    samples = tuple(
        Sample(name, number, number * gap, latency, 20, 100)
        for number, (name, latency) in enumerate(calls)
    )
    return Round(
        key="",
        kind=kind,
        rate=rate,
        number=0,
        seconds=gap * len(calls) or 10.0,
        wall=10.0,
        samples=samples,
    )


def profiled(*, under_load: bool = True) -> dict[str, Curve]:
    """Curves of an engine that is twice as slow at 5 calls/s, where no rare call was measured."""
    loaded = [("often", 2 * IDLE)] * 50 if under_load else []
    rounds = [
        measured("idle", 0.0, [("often", IDLE), ("rare", RARE)] * 5),
        measured("full", 0.0, [("often", 0.5)] * 100),
        measured("runs", 5.0, loaded),
    ]
    made = curves(curve("g", {0.0: 1.0}), stream(), rounds, SweepSettings(warmup=0.0))
    return {one.workflow: one for one in made}


def test_a_rare_workflow_gets_the_slowdown_of_a_frequent_one() -> None:
    found = profiled()
    assert found["often"].slowdown_of == ""
    assert found["rare"].slowdown_of == "often"
    alone, loaded = found["rare"].points
    assert alone.latency == pytest.approx(RARE)
    assert loaded.latency == pytest.approx(2 * RARE)
    loads = [one.points[1].rate / one.max_throughput for one in found.values()]
    assert loads[0] == pytest.approx(loads[1])


def test_without_any_call_under_load_there_is_no_curve() -> None:
    with pytest.raises(EngineFailed, match="no call to 'g' was measured under load"):
        profiled(under_load=False)


@given(
    st.floats(0.01, 10),
    st.lists(st.floats(1.0, 20.0), min_size=1, max_size=5),
    st.floats(0.1, 10),
)
def test_every_time_grows_by_the_same_factor(
    idle: float, factors: list[float], scale: float
) -> None:
    other = [point(0.0, 0.2), *(point(1.0 + at, 0.2 * by) for at, by in enumerate(factors))]
    found = slowed_down(point(0.0, idle), other, scale)
    assert [one.rate for one in found] == pytest.approx([scale * one.rate for one in other])
    for one, by in zip(found[1:], factors, strict=True):
        assert one.latency == pytest.approx(by * idle)
        assert one.p99 == pytest.approx(by * found[0].p99)


def test_the_workflow_with_most_measured_calls_lends_its_slowdown() -> None:
    alone, under_load = point(0.0, 0.1), point(3.0, 0.2)
    assert well_measured({"a": [alone], "b": [alone, under_load]}) == "b"
    assert well_measured({"a": [alone], "b": [under_load, under_load]}) is None
