"""Makes the points of a curve from a long simulation, multiplied by what the rounds measured over
what they take in the same simulation (pure; `curves.control_variate` has the reason).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from scepsy.core.profile import POOLED_REPLICAS, Overlap, ProfilePoint, StepTime
from scepsy.curves.batch_means import batches, mean_latency
from scepsy.curves.bursts import Stream
from scepsy.curves.control_variate import LatencyRatio, Pair, latency_ratio, ratio_at
from scepsy.curves.open_loop import (
    RUN_DURATIONS_MIN,
    longest_run,
    one_by_one,
    open_loop,
    recordings,
)
from scepsy.curves.overlap import parallelism
from scepsy.curves.rounds import Round, Sample, TypicalCalls
from scepsy.curves.same_calls import same_calls
from scepsy.curves.simulated_engine import EngineModel, longest
from scepsy.curves.step_scale import calibrated_engine
from scepsy.hardware.memory import BLOCK_TOKENS
from scepsy.profiler.points import profile_point
from scepsy.statistics.batch_means import BATCHES
from scepsy.traces.latency_trend import MATERIAL_GROWTH, latency_growth

LOADS = (0.25, 0.45, 0.6, 0.73, 0.86, 1.0)
"""Loads of the curve's points, relative to the highest measured rate."""

CALLS_IDLE = 6000
"""Calls in a simulation of a nearly idle engine. Under load there are 1 / (1 - load) times as many,
because queues fluctuate for longer; the mean is then within about 2% up to two thirds of
saturation.
"""

CALLS_MAX = 15_000
"""Calls in one simulation, which takes about 30 microseconds for each."""

RATIO_MAX = 1.25
"""Largest ratio of measured to simulated latency, or of simulated to measured. If the simulation is
further off at any rate, its step times do not describe the engine, and its error would not cancel.
"""

CALLS_MIN = 8
"""Measured calls of a workflow under load. With fewer, their ratio is not known well enough."""


ModelOf = Callable[[StepTime], EngineModel]
"""The engine in simulated time, from the constants of its step time."""


def calibrated_points(
    model_of: ModelOf,
    steps: StepTime,
    stream: Stream,
    kept: Mapping[float, Sequence[Round]],
    typical: TypicalCalls,
    warmup: float,
    seed: int = 0,
) -> dict[str, tuple[ProfilePoint, ...]]:
    """The points of each workflow's curve, at rates of all workflows' calls together. `kept` has
    the rounds of each offered rate; 0 is the idle engine. The simulation takes `steps`, scaled to
    fit the rounds (`curves.step_scale`), and arrivals drawn with `seed`.

    A workflow has none if its calls were too few or the simulation does not describe them. None
    has any if a call is too long for the simulated engine, or a run so long that a simulation of
    `CALLS_MAX` calls would not show a steady load.
    """
    top, lasts = max(kept, default=0.0), RUN_DURATIONS_MIN * longest_run(stream)
    if not top or lasts * top > CALLS_MAX or not _fits(model_of(steps), stream, kept):
        return {}
    engine = calibrated_engine(model_of, steps, [one for of in kept.values() for one in of])
    if engine is None:
        return {}
    ratios = {
        name: found
        for name in stream.runs
        if _describes(found := _ratios(engine, kept, name, warmup))
    }
    points: dict[str, list[ProfilePoint]] = {name: [] for name in ratios}
    for one in _simulated(engine, stream, top, lasts, seed) if ratios else ():
        for name, found in ratios.items():
            if one.of(name):
                points[name].append(_point(one, name, typical, found))
    return {name: tuple(found) for name, found in points.items() if len(found) > 1}


def _fits(engine: EngineModel, stream: Stream, kept: Mapping[float, Sequence[Round]]) -> bool:
    """Whether the simulated engine takes every traced and every replayed call."""
    calls = [c for runs in stream.runs.values() for run in runs for b in run for c in b.calls]
    samples = (s for rounds in kept.values() for one in rounds for s in one.samples)
    replayed = max((s.prompt_tokens + s.output_tokens for s in samples), default=0)
    tokens = max(longest(calls, engine.llm), replayed)
    return tokens <= engine.llm.max_context and tokens + BLOCK_TOKENS <= engine.kv_tokens


def _ratios(
    engine: EngineModel, kept: Mapping[float, Sequence[Round]], workflow: str, warmup: float
) -> list[LatencyRatio]:
    """The workflow's ratio at every rate at which it can be told."""
    found: list[LatencyRatio] = []
    for rate, rounds in sorted(kept.items()):
        pairs = [_pair(engine, one, workflow, warmup) for one in rounds]
        ratio = latency_ratio(rate, [pair for pair in pairs if pair[0]])
        found += [] if ratio is None else [ratio]
    return found


def _pair(engine: EngineModel, one: Round, workflow: str, warmup: float) -> Pair:
    again = msgspec.structs.replace(one, samples=tuple(same_calls(engine, one.samples)))
    measured, simulated = (
        [sample for sample in of.after(warmup) if sample.workflow == workflow]
        for of in (one, again)
    )
    return measured, simulated


def _describes(ratios: Sequence[LatencyRatio]) -> bool:
    """Whether there are enough calls under load, and the simulation is near to all of them."""
    enough = sum(one.calls for one in ratios if one.rate) >= CALLS_MIN
    return enough and all(1 / RATIO_MAX <= one.ratio <= RATIO_MAX for one in ratios)


@dataclass(frozen=True, slots=True)
class _Simulated:
    """Calls to one replica at `rate` calls per second, and to `POOLED_REPLICAS` at that rate
    each.
    """

    rate: float
    samples: Sequence[Sample]
    pooled: Sequence[Sample]

    def of(self, workflow: str) -> list[Sample]:
        return [sample for sample in self.samples if sample.workflow == workflow]

    def overlaps(self, workflow: str, typical: TypicalCalls) -> tuple[Overlap, Overlap]:
        """Of the workflow's calls, at one replica and at several."""
        pooled = [sample for sample in self.pooled if sample.workflow == workflow]
        one = self.of(workflow)
        alone, several = (mean_latency([of], typical).mean for of in (one, pooled))
        return (
            Overlap(latency=1.0, parallelism=parallelism(one)),
            Overlap(latency=several / alone, parallelism=parallelism(pooled)),
        )


def _simulated(
    engine: EngineModel, stream: Stream, top: float, lasts: float, seed: int
) -> Iterator[_Simulated]:
    """Long simulations at rising rates up to `top`; it ends before a rate at which latency grows
    without end. None takes fewer than `lasts` seconds.
    """
    runs = recordings(engine, stream)
    alone, pooled = (one_by_one(engine, stream, runs, count) for count in (1, POOLED_REPLICAS))
    yield _Simulated(0.0, alone, pooled)
    for load in LOADS:
        calls = min(CALLS_MAX, CALLS_IDLE / max(1.0 - load, CALLS_IDLE / CALLS_MAX))
        seconds = max(lasts, calls / (load * top))
        rate, samples = open_loop(engine, stream, runs, load * top, seconds, seed)
        found = batches(samples, [sample.latency for sample in samples], BATCHES)
        if latency_growth(found) > MATERIAL_GROWTH:
            return
        less = max(lasts, seconds / POOLED_REPLICAS)
        _, pooled = open_loop(engine, stream, runs, load * top, less, seed, POOLED_REPLICAS)
        yield _Simulated(rate, samples, pooled)


def _point(
    simulated: _Simulated, workflow: str, typical: TypicalCalls, ratios: Sequence[LatencyRatio]
) -> ProfilePoint:
    """A simulated point times the ratio. All its times get the ratio of the mean latency."""
    rate, own = simulated.rate, simulated.of(workflow)
    ratio, noise = ratio_at(ratios, rate)
    known = mean_latency([own], typical)
    samples = [
        msgspec.structs.replace(
            one, latency=ratio * one.latency, ttft=None if one.ttft is None else ratio * one.ttft
        )
        for one in own
    ]
    # Alone, every traced run was simulated once, so that only the ratio is uncertain.
    error = math.hypot(noise * known.mean, ratio * known.noise if rate else 0.0)
    point = profile_point(rate, ratio * known.mean, error, samples)
    one, pooled = simulated.overlaps(workflow, typical)
    return msgspec.structs.replace(
        point,
        samples=sum(one.calls for one in ratios),
        one=one,
        pooled=pooled,
    )
