"""Which rates to offer, and what samples say (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev

import numpy as np

from scepsy.core.profile import ProfilePoint
from scepsy.core.trace import Call
from scepsy.profiler.bursts import Runs
from scepsy.summarize import quantile


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """How thoroughly to measure one engine. Seconds; rates in calls per second.

    `utilisations` are parts of saturation; before them comes the idle engine, one burst at a time.
    `max_rate` bounds what is offered: beyond what any target could ask, or what this machine can
    send, saturation is not looked for and the curve's throughput is a lower bound.
    """

    utilisations: tuple[float, ...] = (0.4, 0.65, 0.9)
    seconds: float = 7.0
    saturation_seconds: float = 6.0
    idle_seconds: float = 5.0
    warmup: float = 0.25
    max_rate: float = 200.0

    def times(self, effort: float) -> SweepSettings:
        """The same with longer or shorter measurements below saturation."""
        seconds, idle = effort * self.seconds, effort * self.idle_seconds
        return replace(self, seconds=seconds, idle_seconds=idle)


@dataclass(frozen=True, slots=True)
class Sample:
    """One replayed call: when it was sent, in seconds from the start, and how long it took."""

    workflow: str
    sent: float
    latency: float
    output_tokens: int
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Typical:
    """A call of a workflow's mean length in tokens, and its mean duration while tracing.

    None is a length that no traced call told.
    """

    output_tokens: float | None
    prompt_tokens: float | None
    duration: float = 1.0

    @property
    def generates(self) -> bool:
        return self.output_tokens is not None and self.output_tokens > 1

    def length(self, sample: Sample) -> float:
        """What of a sample's length its latency depends on."""
        return sample.output_tokens if self.generates else sample.prompt_tokens

    @property
    def own_length(self) -> float | None:
        return self.output_tokens if self.generates else self.prompt_tokens


def typical(runs: Runs) -> Typical:
    """The mean of all calls in `runs`."""
    calls: list[Call] = [call for run in runs for burst in run for call in burst.calls]
    return Typical(
        output_tokens=_known_mean([call.output_tokens for call in calls]),
        prompt_tokens=_known_mean([call.prompt_tokens for call in calls]),
        duration=fmean(call.duration for call in calls),
    )


def point(rate: float, samples: Sequence[Sample], usual: Typical) -> ProfilePoint:
    """What the samples of one workflow at one rate say of a call of its usual length.

    A short measurement draws long and short calls unevenly: noise of the draw, not of the engine.
    So latency is regressed on length within the point and read off at the traced mean length (a
    control variate).
    """
    latencies = sorted(sample.latency for sample in samples)
    lengths = [usual.length(sample) for sample in samples]
    slope = _slope(lengths, [sample.latency for sample in samples])
    shift = 0.0 if usual.own_length is None else slope * (usual.own_length - fmean(lengths))
    mean = max(fmean(latencies) + shift, latencies[0])
    residuals = [s.latency - slope * length for s, length in zip(samples, lengths, strict=True)]
    return ProfilePoint(
        rate=rate,
        latency=mean,
        p50=quantile(latencies, 0.5),
        p90=quantile(latencies, 0.9),
        p99=quantile(latencies, 0.99),
        ttft=max(0.0, mean - slope * (usual.output_tokens or 0)) if usual.generates else mean,
        tpot=slope if usual.generates else 0.0,
        samples=len(samples),
        noise=pstdev(residuals) / len(samples) ** 0.5,
    )


def own_throughputs(
    total: float, calls: Mapping[str, float], cost: Mapping[str, float]
) -> dict[str, float]:
    """Calls per second at which each workflow alone would saturate an engine that saturates at
    `total` with the workflows' calls mixed in parts `calls`.

    `cost` is what a call of each workflow costs, relative to the others; the loads that the
    workflows make in the mixture then add up to one.
    """
    least = 1e-9  # a call that took no time at all would cost nothing
    mean_cost = sum(calls[name] * max(cost[name], least) for name in calls)
    return {name: total * mean_cost / max(cost[name], least) for name in calls}


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Least squares, never negative: a longer call is not a faster one."""
    if len(x) < 8 or pstdev(x) == 0:
        return 0.0
    return max(0.0, float(np.polyfit(np.asarray(x), np.asarray(y), 1)[0]))


def _known_mean(values: Sequence[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
