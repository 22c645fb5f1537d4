"""How sure a mean latency is, when calls of a burst and bursts of a queue hang together (pure)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

import numpy as np

from scepsy.curves.rounds import Sample, Typical, TypicalCalls
from scepsy.statistics.batch_means import BATCHES, consecutive, t_95


@dataclass(frozen=True, slots=True)
class CallBatch:
    """Calls that were sent one after another: mean time of sending, mean latency, how many."""

    arrival: float
    latency: float
    calls: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its standard error, in seconds, from so many batches."""

    mean: float
    noise: float
    batches: int

    @property
    def half_width(self) -> float:
        """Half the width of the 95% interval of the mean, in seconds."""
        return t_95(self.batches) * self.noise


def at_typical_length(samples: Sequence[Sample], usual: TypicalCalls) -> list[float]:
    """Latencies as they would be at the usual length of a call of their workflow.

    A short measurement draws long and short calls unevenly: noise of the draw, not of the engine.
    So latency is regressed on length and read off at the traced mean length (a control variate).
    """
    shifts = {
        name: _shift([s for s in samples if s.workflow == name], of) for name, of in usual.items()
    }
    return [
        sample.latency + slope * (own - usual[sample.workflow].length(sample))
        for sample in samples
        for slope, own in [shifts[sample.workflow]]
    ]


def batches(samples: Sequence[Sample], latencies: Sequence[float], count: int) -> list[CallBatch]:
    """At most `count` batches of one round, in order of arrival; units stay whole."""
    units: dict[int, list[int]] = {}
    for index in sorted(range(len(samples)), key=lambda index: samples[index].sent):
        units.setdefault(samples[index].unit, []).append(index)
    groups = [[i for unit in some for i in unit] for some in consecutive([*units.values()], count)]
    return [
        CallBatch(fmean(samples[i].sent for i in g), fmean(latencies[i] for i in g), len(g))
        for g in groups
    ]


def estimate(rounds: Sequence[Sequence[Sample]], usual: TypicalCalls) -> Estimate:
    """The mean latency over rounds at one rate, with a standard error from batch means.

    Batches differ in size, so the mean is a ratio of sums, and so is its error (Cochran, Sampling
    Techniques, 6.4). Raises ValueError without samples.
    """
    pooled = [sample for samples in rounds for sample in samples]
    values = at_typical_length(pooled, usual)
    mean = fmean(values)
    each = max(2, math.ceil(BATCHES / len(rounds)))
    found: list[CallBatch] = []
    start = 0
    for samples in rounds:
        found += batches(samples, values[start : start + len(samples)], each)
        start += len(samples)
    if len(found) < 2:
        return Estimate(mean, mean, len(found))
    total = sum(batch.calls for batch in found)
    squares = sum((batch.calls * (batch.latency - mean)) ** 2 for batch in found)
    return Estimate(mean, math.sqrt(squares * len(found) / (len(found) - 1)) / total, len(found))


def _shift(samples: Sequence[Sample], of: Typical) -> tuple[float, float]:
    """Seconds per token of length, and the length to read off at."""
    lengths = [of.length(sample) for sample in samples]
    if of.own_length is None or len(lengths) < 8 or pstdev(lengths) == 0:
        return 0.0, of.own_length or 0.0
    latencies = [sample.latency for sample in samples]
    slope = float(np.polyfit(np.asarray(lengths), np.asarray(latencies), 1)[0])
    # A longer call is not a faster one; and none is read off below all that was seen.
    slope = max(0.0, slope)
    least = fmean(lengths) - (fmean(latencies) - min(latencies)) / slope if slope else 0.0
    return slope, max(of.own_length, least)
