"""The standard error of a mean latency from batch means, because calls of one burst and bursts in
one queue are not independent (pure).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

import numpy as np

from scepsy.curves.rounds import Sample, TypicalCall, TypicalCalls
from scepsy.statistics.batch_means import BATCHES, consecutive, t_95

_REGRESSION_MIN = 8
"""Calls. With fewer, the slope of latency over length is mostly noise."""

_DECODING_MIN = 16
"""Output tokens of a typical call from which on its latency is nearly all decoding, so that it is
in proportion to its length. That replaces the slope of too few calls.
"""


@dataclass(frozen=True, slots=True)
class CallBatch:
    """A batch of consecutive calls of one round.

    Attributes:
        arrival: mean time at which they were sent, in seconds since the round began.
        latency: their mean latency in seconds.
        calls: how many they are.
    """

    arrival: float
    latency: float
    calls: int


@dataclass(frozen=True, slots=True)
class MeanLatency:
    """A mean latency and its standard error `noise`, both in seconds, from this many batches."""

    mean: float
    noise: float
    batches: int

    @property
    def half_width(self) -> float:
        """Half the width of the 95% interval of the mean, in seconds."""
        return t_95(self.batches) * self.noise


def at_typical_length(samples: Sequence[Sample], usual: TypicalCalls) -> list[float]:
    """The latency in seconds of each sample, corrected to the mean length of a traced call of its
    workflow.

    A short measurement contains more long calls or more short ones than the traces do. That noise
    is the sample's and not the engine's, so latency is regressed on length and read off at the
    traced mean length (a control variate).
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
    """At most `count` batches of one round, in order of arrival. Calls of one unit (`Sample.unit`)
    are in the same batch.
    """
    units: dict[int, list[int]] = {}
    for index in sorted(range(len(samples)), key=lambda index: samples[index].sent):
        units.setdefault(samples[index].unit, []).append(index)
    groups = [[i for unit in some for i in unit] for some in consecutive([*units.values()], count)]
    return [
        CallBatch(fmean(samples[i].sent for i in g), fmean(latencies[i] for i in g), len(g))
        for g in groups
    ]


def mean_latency(rounds: Sequence[Sequence[Sample]], usual: TypicalCalls) -> MeanLatency:
    """The mean latency over the rounds at one rate, with a standard error from batch means.

    Batches differ in size, so the mean is a ratio of two sums. Its standard error is that of a
    ratio estimate (Cochran, Sampling Techniques, section 6.4). Raises ValueError for no samples.
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
        return MeanLatency(mean, mean, len(found))
    total = sum(batch.calls for batch in found)
    squares = sum((batch.calls * (batch.latency - mean)) ** 2 for batch in found)
    return MeanLatency(mean, math.sqrt(squares * len(found) / (len(found) - 1)) / total, len(found))


def _shift(samples: Sequence[Sample], of: TypicalCall) -> tuple[float, float]:
    """Seconds of latency per token of length, and the length in tokens to read off at."""
    lengths = [of.length(sample) for sample in samples]
    if of.own_length is None or not samples or fmean(lengths) == 0:
        return 0.0, of.own_length or 0.0
    latencies = [sample.latency for sample in samples]
    proportional = fmean(latencies) / fmean(lengths)
    if len(lengths) < _REGRESSION_MIN:
        decoding = of.generates and of.own_length >= _DECODING_MIN
        return proportional if decoding else 0.0, of.own_length
    if pstdev(lengths) == 0:
        return 0.0, of.own_length
    slope = float(np.polyfit(np.asarray(lengths), np.asarray(latencies), 1)[0])
    # Longer calls are not faster, and no call of length zero takes less than no time.
    return min(max(0.0, slope), proportional), of.own_length
