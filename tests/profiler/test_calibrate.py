"""Curves from a simulation that measured rounds calibrate, against simulated truth."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from builders import call, curve, trace
from scepsy.core.llm import LlmSpec
from scepsy.core.profile import Profile, ProfilePoint, StepTime
from scepsy.curves.bursts import Stream, bursts_of
from scepsy.curves.control_variate import LatencyRatio, latency_ratio, ratio_at
from scepsy.curves.fitted_timer import FittedTimer
from scepsy.curves.open_loop import one_by_one, open_loop, recordings
from scepsy.curves.overlap import parallelism
from scepsy.curves.rounds import Round, Sample, typical_calls
from scepsy.curves.same_calls import same_calls
from scepsy.curves.simulated_engine import EngineModel
from scepsy.curves.step_scale import scaled
from scepsy.planning.provenance import merge
from scepsy.predict import responses
from scepsy.profiler import calibrate
from scepsy.profiler.calibrate import calibrated_points
from scepsy.profiler.curves import curves
from scepsy.profiler.sweep.next_round import SweepSettings

LLM = LlmSpec(name="g", max_sequences=4)
STEPS = StepTime(fixed=0.01, prefill_token=2e-5, sequence=2e-4, kv_token=1e-7, error=0.0)
RATES = (4.0, 8.0, 12.0)
"""Calls per second of the measured rounds; the engine saturates at about 15."""


@pytest.fixture(autouse=True, scope="module")
def short_simulations() -> Iterator[None]:
    """Arrivals are the same in all simulations, so that short ones can be compared, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "LOADS", (0.3, 0.6, 1.0))
        patch.setattr(calibrate, "CALLS_IDLE", 400)
        patch.setattr(calibrate, "CALLS_MAX", 1500)
        yield


def engine_of(steps: StepTime) -> EngineModel:
    return EngineModel(LLM, FittedTimer(steps), 100_000, 0.0, {})


def engine(factor: float = 1.0) -> EngineModel:
    """An engine whose steps take `factor` times as long as they do in truth."""
    return engine_of(scaled(STEPS, factor))


@cache
def stream() -> Stream:
    """Runs of two or three fan-outs of one to three calls, with gaps of 0.3 s."""
    rng, found = random.Random(5), []
    for number in range(12):
        now, calls = 100.0 * number, []
        for step in range(rng.randint(2, 3)):
            for side in range(rng.randint(1, 3)):
                lengths = {"prompt_tokens": 200, "output_tokens": rng.randint(10, 40)}
                name = f"{number}/{step}/{side}"
                calls.append(call("g", now, now + 0.5, call=name, run=str(number), **lengths))
            now += 0.8
        found.append(trace(*calls, run=str(number)))
    return Stream({"w": bursts_of(found, "g")}, {"w": 1.0})


@cache
def kept() -> dict[float, list[Round]]:
    """What a profiler measures of the true engine: rounds of 10 s."""
    true, rounds = engine(), dict[float, list[Round]]()
    runs = recordings(true, stream())
    rounds[0.0] = [measured("idle", 0.0, one_by_one(true, stream(), runs))]
    for rate in RATES:
        _, samples = open_loop(true, stream(), runs, rate, 12.0)
        rounds[rate] = [measured("runs", rate, samples)]
    return rounds


def measured(kind: str, rate: float, samples: list[Sample]) -> Round:
    return Round(
        key="",
        kind=kind,  # pyright: ignore
        rate=rate,
        number=0,
        seconds=10.0,
        wall=10.0,
        samples=tuple(samples),
    )


@cache
def points(factor: float) -> tuple[ProfilePoint, ...]:
    steps, typical = scaled(STEPS, factor), typical_calls(stream())
    found = calibrated_points(engine_of, steps, stream(), kept(), typical, 0.0)
    return found.get("w", ())


calls = st.builds(
    Sample,
    workflow=st.just("w"),
    unit=st.integers(0, 9),
    sent=st.floats(0, 5),
    latency=st.floats(0.01, 1),
    output_tokens=st.integers(1, 50),
    prompt_tokens=st.integers(1, 500),
)
rounds = st.lists(calls, min_size=1, max_size=30).map(lambda of: sorted(of, key=lambda s: s.sent))


@settings(deadline=None)
@given(rounds)
def test_the_same_engine_takes_the_same_time_for_the_same_calls(samples: list[Sample]) -> None:
    first = same_calls(engine(), samples)
    assert same_calls(engine(), first) == first
    ratio = latency_ratio(1.0, [(first, first)])
    assert ratio is None or (ratio.ratio, ratio.noise) == (1.0, pytest.approx(0, abs=1e-12))


@settings(deadline=None)
@given(rounds, st.floats(0.5, 2.0))
def test_calls_that_meet_no_other_take_longer_by_the_factor_of_the_steps(
    samples: list[Sample], factor: float
) -> None:
    alone = [replace(s, sent=100.0 * i, unit=i) for i, s in enumerate(samples)]
    true, slow = same_calls(engine(), alone), same_calls(engine(factor), alone)
    ratio = latency_ratio(0.0, [(true, slow)])
    assert ratio is None or ratio.ratio == pytest.approx(1 / factor)


def test_cached_prompt_tokens_are_not_computed_again() -> None:
    sample = Sample("w", 0, 0.0, 1.0, 1, 1000, cached_tokens=960)
    (cached,) = same_calls(engine(), [sample])
    (fresh,) = same_calls(engine(), [replace(sample, cached_tokens=0)])
    assert fresh.latency - cached.latency == pytest.approx(960 * STEPS.prefill_token)


@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_step_times_that_are_off_by_a_fifth_give_the_true_curve(factor: float) -> None:
    for one, other in zip(points(1.0), points(factor), strict=True):
        assert other.rate == pytest.approx(one.rate, rel=0.01)
        assert other.latency == pytest.approx(one.latency, rel=0.01)


@pytest.mark.parametrize("wrong", [{"fixed": 0.013}, {"prefill_token": 6e-5}, {"sequence": 1e-3}])
def test_the_ratio_takes_back_most_of_an_error_of_one_constant(wrong: dict[str, float]) -> None:
    """With a wrong constant no scale is right for all calls."""
    steps, typical = replace(STEPS, **wrong), typical_calls(stream())
    found = calibrated_points(engine_of, steps, stream(), kept(), typical, 0.0)["w"]
    for one, other in zip(points(1.0)[:3], found[:3], strict=True):
        assert other.latency == pytest.approx(one.latency, rel=0.03)


def test_a_workflow_without_an_idle_call_has_the_ratio_of_the_lowest_load() -> None:
    loaded = {**kept(), 0.0: [measured("idle", 0.0, [])]}
    found = calibrated_points(engine_of, STEPS, stream(), loaded, typical_calls(stream()), 0.0)["w"]
    assert found[0].latency == pytest.approx(points(1.0)[0].latency, rel=0.02)
    assert latency_ratio(1.0, []) is None


def test_steps_without_a_fixed_time_are_not_used() -> None:
    steps, typical = replace(STEPS, fixed=0.0), typical_calls(stream())
    assert calibrated_points(engine_of, steps, stream(), kept(), typical, 0.0) == {}


def test_points_rise_and_say_how_sure_they_are() -> None:
    found = points(1.0)
    assert [p.rate for p in found] == sorted(p.rate for p in found)
    assert [p.latency for p in found] == sorted(p.latency for p in found)
    assert all(0 < p.noise < 0.5 * p.latency for p in found[1:])
    assert found[-1].rate == pytest.approx(RATES[-1], rel=0.1)


def test_points_say_how_much_faster_several_replicas_are_that_share_the_calls() -> None:
    """Fan-outs of up to three calls fill an engine of four seats, but not four of them."""
    found = points(1.0)
    known = [(p.one, p.pooled) for p in found if p.one is not None and p.pooled is not None]
    assert len(known) == len(found)
    faster = [pooled.latency for _, pooled in known]
    assert faster == sorted(faster, reverse=True)
    assert faster[0] == pytest.approx(1.0, abs=0.1)
    assert faster[-1] < 0.8
    profile = replace(curve("g", {0.0: 1.0}, max_throughput=15.0), points=found)
    blend = responses([profile])["g", "w"].at(1, 1.0)
    assert blend is not None
    rate, runs = found[1].rate, recordings(engine(), stream())
    _, two = open_loop(engine(), stream(), runs, rate, 400.0, replicas=2)
    latency, at = fmean(call.latency for call in two), np.array([rate / 15.0])
    assert blend.latency_at(at, 2)[0] == pytest.approx(latency, rel=0.05)
    assert blend.spent_at(at, 2, 1.0)[0] == pytest.approx(latency / parallelism(two), rel=0.05)


def test_a_simulation_that_is_far_off_is_not_used() -> None:
    assert points(1.8) == ()


def test_calls_that_do_not_fit_the_simulated_cache_leave_the_curve_as_measured() -> None:
    def small(steps: StepTime) -> EngineModel:
        return EngineModel(LLM, FittedTimer(steps), 128, 0.0, {})

    assert calibrated_points(small, STEPS, stream(), kept(), typical_calls(stream()), 0.0) == {}


def test_without_a_simulated_engine_a_curve_is_what_was_measured() -> None:
    everything = [one for of in kept().values() for one in of]
    full = measured("full", 0.0, kept()[12.0][0].samples)  # pyright: ignore
    args = (curve("g", {0.0: 1.0}), stream(), [*everything, full], SweepSettings())
    (plain,) = curves(*args)
    assert plain.source == "measured"
    (calibrated,) = curves(*args, engine_of)
    assert calibrated.source == "calibrated"
    assert not calibrated.estimated
    assert calibrated.max_throughput == plain.max_throughput


def test_an_open_loop_offers_its_rate_and_alone_each_call_comes_once() -> None:
    true = engine()
    runs = recordings(true, stream())
    rate, samples = open_loop(true, stream(), runs, 6.0, 400.0)
    assert rate == pytest.approx(6.0, rel=0.03)
    lengths = [c.output_tokens for run in stream().runs["w"] for b in run for c in b.calls]
    alone = one_by_one(true, stream(), runs)
    assert sorted(s.output_tokens for s in alone) == sorted(lengths)
    assert {s.output_tokens for s in samples} == set(lengths)


@given(
    st.lists(st.tuples(st.floats(0.5, 2), st.floats(0, 0.1)), min_size=1, max_size=5),
    st.floats(0, 10),
)
def test_ratios_are_interpolated_between_their_neighbours(
    found: list[tuple[float, float]], rate: float
) -> None:
    ratios = [LatencyRatio(2.0 * i, ratio, noise, 9) for i, (ratio, noise) in enumerate(found)]
    ratio, noise = ratio_at(ratios, rate)
    assert min(r for r, _ in found) - 1e-9 <= ratio <= max(r for r, _ in found) + 1e-9
    assert 0 <= noise <= max(n for _, n in found) + 1e-9
    for one in ratios:
        assert ratio_at(ratios, one.rate) == pytest.approx((one.ratio, one.noise))


def test_of_a_measured_and_a_calibrated_curve_the_later_is_used() -> None:
    plain = curve("g", {0.0: 1.0})
    calibrated = replace(plain, source="calibrated")
    for one, other in ((plain, calibrated), (calibrated, plain)):
        assert merge([Profile(curves=(one,)), Profile(curves=(other,))]).curves == (other,)
