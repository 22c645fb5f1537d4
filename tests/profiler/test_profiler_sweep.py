"""Where the next round goes: bisection, bends, intervals; on engines that are a formula."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.curves.batch_means import MeanLatency, mean_latency
from scepsy.curves.rounds import Round, RoundSpec, Sample, TypicalCall
from scepsy.profiler.sweep.next_round import SweepSettings, left_of, next_step, saturated
from scepsy.profiler.sweep.refine import KnownRate, next_rate
from scepsy.profiler.sweep.saturation import Saturation

USUAL = {"w": TypicalCall(None, None)}


@st.composite
def sweeps(draw: st.DrawFn) -> tuple[list[KnownRate], float]:
    """Loads at rising rates from 0 to `top`."""
    top = draw(st.floats(0.1, 1000))
    parts = sorted(draw(st.sets(st.integers(1, 19), max_size=6)) | {0, 20})
    latency = st.floats(0.01, 10)
    return [
        KnownRate(
            top * part / 20,
            draw(latency),
            draw(st.floats(0, 5)),
            draw(st.integers(1, 9)),
        )
        for part in parts
    ], top


@given(sweeps(), st.floats(0.001, 0.5))
def test_the_next_rate_is_a_known_one_or_halves_a_gap(
    found: tuple[list[KnownRate], float], precision: float
) -> None:
    known, top = found
    rate = next_rate(known, top, precision)
    halves = {(low.rate + high.rate) / 2 for low, high in pairwise(known)}
    assert rate is None or rate in halves or rate in {load.rate for load in known}


@given(sweeps(), st.floats(0.001, 0.5), st.floats(0.01, 100), st.floats(0.01, 100))
def test_units_do_not_matter(
    found: tuple[list[KnownRate], float], precision: float, faster: float, slower: float
) -> None:
    known, top = found
    scaled = [
        KnownRate(one.rate * faster, one.latency * slower, one.half_width * slower, one.rounds)
        for one in known
    ]
    before, after = next_rate(known, top, precision), next_rate(scaled, top * faster, precision)
    if before is None or after is None:
        assert before is after
    else:
        assert after == pytest.approx(before * faster)


@given(sweeps(), st.floats(0.001, 0.5))
def test_who_wants_less_precision_measures_no_more(
    found: tuple[list[KnownRate], float], precision: float
) -> None:
    known, top = found
    if next_rate(known, top, precision) is None:
        assert next_rate(known, top, 2 * precision) is None


@given(st.floats(1, 10), st.floats(0, 0.01))
def test_a_straight_sure_curve_is_done(level: float, slope: float) -> None:
    # Straight as the planner joins points: in the reciprocal of latency.
    known = [KnownRate(rate, 1 / (level - slope * rate), 0.0, 2) for rate in (0.0, 40.0, 90.0)]
    assert next_rate(known, 90.0, 0.05) is None
    once = [*known[:1], KnownRate(40.0, known[1].latency, 0.0, 1), *known[2:]]
    assert next_rate(once, 90.0, 0.05) == 40


def test_a_bend_is_looked_into() -> None:
    known = [KnownRate(rate, 1.0, 0.0, 2) for rate in (0, 25, 50, 75)] + [
        KnownRate(100, 3.0, 0.0, 2)
    ]
    assert next_rate(known, 100, 0.05) in (62.5, 87.5)


def test_the_top_comes_first_then_the_middle() -> None:
    idle = KnownRate(0, 1.0, 0.0)
    assert next_rate([idle], 90, 0.05) == 90
    assert next_rate([idle, KnownRate(90, 5.0, 0.0)], 90, 0.05) == 45


@given(st.floats(1, 100), st.floats(0.97, 1.3), st.floats(1.5, 1e4))
def test_bisection_finds_a_sharp_edge(edge: float, error: float, most: float) -> None:
    found = Saturation(min(edge * error, most), most)
    for _ in range(12):
        rate = found.next
        if rate is None:
            break
        steady, growing = found.steady, found.growing
        if rate > edge:
            growing = rate
        else:
            steady = rate
        found = Saturation(found.guess, most, steady, growing)
    assert found.next is None
    assert found.rate == pytest.approx(min(edge, most), rel=0.06)


@given(st.integers(2, 40), st.integers(1, 30))
def test_a_burst_counts_once(units: int, size: int) -> None:
    """Calls of a burst that are all alike say no more than one of them does."""
    rng = random.Random(units)
    latencies = [rng.uniform(1, 2) for _ in range(units)]
    of = {
        copies: mean_latency(
            [[Sample("w", u, u, one, 1, 1) for u, one in enumerate(latencies)] * copies], USUAL
        )
        for copies in (1, size)
    }
    assert of[size].mean == pytest.approx(of[1].mean)
    assert of[size].noise == pytest.approx(of[1].noise)


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    """Bursts of three whose level is their own; a naive standard error would hold it 70% of the
    time.
    """
    rng = random.Random(1)
    held = 0
    for _ in range(400):
        levels = [rng.gauss(5, 1) for _ in range(40)]
        samples = [
            Sample("w", u, u, level + rng.gauss(0, 0.1), 1, 1)
            for u, level in enumerate(levels)
            for _ in range(3)
        ]
        known = mean_latency([samples], USUAL)
        held += abs(known.mean - 5) < known.half_width
    assert 0.9 < held / 400 < 0.98


def test_few_batches_widen_the_interval() -> None:
    assert MeanLatency(1.0, 0.1, 3).half_width > MeanLatency(1.0, 0.1, 20).half_width > 0.2
    assert MeanLatency(1.0, 0.1, 1).half_width == float("inf")


class Formula:
    """An engine whose calls take up to five times as long at `edge` as alone, with noise; beyond it
    they take longer and longer.
    """

    def __init__(self, edge: float, noise: float, seed: int) -> None:
        self.edge, self.noise, self.rng = edge, noise, random.Random(seed)

    def play(self, step: RoundSpec) -> Round:
        rate = self.edge if step.kind == "full" else step.rate or 1.0
        count = max(1, round(rate * step.seconds))
        samples = tuple(self._sample(unit, unit / rate, step.rate) for unit in range(count))
        last = samples[-1]
        return Round(
            key="k",
            kind=step.kind,
            rate=step.rate,
            number=step.number,
            seconds=step.seconds,
            wall=max(step.seconds, last.sent + last.latency),
            samples=samples,
        )

    def _sample(self, unit: int, sent: float, rate: float) -> Sample:
        over = max(0.0, rate / self.edge - 1)
        base = 0.2 / max(0.2, 1 - rate / self.edge) + over * sent
        return Sample(
            "w", unit, sent, base * self.rng.uniform(1 - self.noise, 1 + self.noise), 1, 1
        )


@settings(deadline=None, max_examples=30)
@given(st.floats(8, 40), st.floats(0, 0.3), st.integers(0, 100), st.floats(30, 120))
def test_a_sweep_ends_within_its_budget_and_knows_saturation(
    edge: float, noise: float, seed: int, budget: float
) -> None:
    wanted, engine = SweepSettings(budget=budget, max_rate=1e4), Formula(edge, noise, seed)
    rounds: list[Round] = []
    while (step := next_step(rounds, USUAL, wanted)) is not None:
        assert len(rounds) < 40
        rounds.append(engine.play(step))
    assert sum(one.wall for one in rounds) < 1.3 * budget
    assert left_of(rounds, wanted) < budget
    assert saturated(rounds, USUAL, wanted).rate == pytest.approx(edge, rel=0.2)
    assert {one.kind for one in rounds} == {"idle", "full", "bursts", "runs"}


def test_a_sweep_that_was_cut_short_goes_on_as_if_it_had_not() -> None:
    wanted = SweepSettings(budget=60, max_rate=1e4)
    engine = Formula(20, 0.3, 0)
    rounds: list[Round] = []
    steps: list[RoundSpec | None] = []
    while (step := next_step(rounds, USUAL, wanted)) is not None:
        steps.append(step)
        rounds.append(engine.play(step))
    again = [next_step(rounds[:done], USUAL, wanted) for done in range(len(rounds))]
    assert again == steps
