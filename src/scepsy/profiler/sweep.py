"""Which rates to offer, and what samples say (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

import numpy as np

from scepsy.core.profile import ProfilePoint
from scepsy.summarize import quantile


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """How thoroughly to measure one curve. Seconds, calls per second.

    `max_rate` bounds what is offered: beyond what any target could ask, or what this machine can
    send, saturation is not looked for and the curve's throughput is a lower bound.
    """

    utilisations: tuple[float, ...] = (0.1, 0.35, 0.6, 0.8, 0.92)
    seconds: float = 6.0
    saturation_seconds: float = 5.0
    warmup: float = 0.25
    max_rate: float = 200.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One replayed call: when it was sent (seconds from the start of the measurement) and how long
    it took.
    """

    sent: float
    latency: float
    output_tokens: int
    prompt_tokens: int


def rates(max_throughput: float, settings: SweepSettings) -> tuple[float, ...]:
    """The arrival rates to measure, rising, in calls per second."""
    return tuple(u * max_throughput for u in settings.utilisations)


def point(rate: float, samples: Sequence[Sample], typical: Sample) -> ProfilePoint:
    """What the samples at one rate say of a call of typical length.

    A short measurement draws long and short calls unevenly, which is noise of the draw, not of the
    engine. So latency is regressed on length within the point and read off at the traced mean
    length (the classical control variate).
    """
    latencies = sorted(sample.latency for sample in samples)
    lengths = [_length(sample, typical) for sample in samples]
    slope = _slope(lengths, [sample.latency for sample in samples])
    shift = slope * (_length(typical, typical) - fmean(lengths))
    mean = max(fmean(latencies) + shift, latencies[0])
    residuals = [s.latency - slope * length for s, length in zip(samples, lengths, strict=True)]
    generates = typical.output_tokens > 1
    return ProfilePoint(
        rate=rate,
        latency=mean,
        p50=quantile(latencies, 0.5),
        p90=quantile(latencies, 0.9),
        p99=quantile(latencies, 0.99),
        ttft=max(0.0, mean - slope * typical.output_tokens) if generates else mean,
        tpot=slope if generates else 0.0,
        samples=len(samples),
        noise=pstdev(residuals) / len(samples) ** 0.5,
    )


def _length(sample: Sample, typical: Sample) -> float:
    return sample.output_tokens if typical.output_tokens > 1 else sample.prompt_tokens


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Least squares, never negative: a longer call is not a faster one."""
    if len(x) < 8 or pstdev(x) == 0:
        return 0.0
    return max(0.0, float(np.polyfit(np.asarray(x), np.asarray(y), 1)[0]))
