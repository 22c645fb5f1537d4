"""Runs that arrive, from how an engine fares with so many under way (pure).

With N runs under way calls come back at a rate X(N) and take L(N) seconds. Where runs arrive as a
Poisson process, `rate` calls per second with them, how many are under way is close to a birth-death
process. A run that comes meets N others as often as there are N, so

    latency(rate) = sum over N of p(N) L(N + 1),    p(N) / p(N - 1) = rate / X(N)

That is exact for networks of queues with a product form and a good approximation for engines that
serve many at once (flow-equivalent servers: Chandy, Herzog and Woo, Parametric Analysis of Queuing
Networks, 1975). A replay of arrivals would have to be many times as long as a run.

Where calls are prompts alone, served one after another, what they wait depends on how much bursts
differ: it is (1 + c^2) / 2 of what it would be for exponential ones (Pollaczek and Khinchine), c
being the standard deviation of their work over its mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, pvariance

import numpy as np
from numpy.typing import NDArray

from scepsy.core.profile import ProfilePoint, Quantiles
from scepsy.estimate.queueing.closed_loop import COLLAPSED, Crowd
from scepsy.statistics.quantiles import weighted_quantiles

Floats = NDArray[np.float64]

LOST = 0.02
"""A rate is sustained if at most so many runs meet a crowd that grows for ever: where prompts drop
out of the cache, a large one is served slower than a small one.
"""


def point(crowds: Sequence[Crowd], workflow: str, calls: float, rate: float) -> ProfilePoint:
    """What the workflow's calls take where `calls` per second come, of all workflows; the point
    stands at `rate`.
    """
    weights, _ = met(crowds, calls)
    waiting = _waiting(crowds[0])
    weights = waiting * weights + (1.0 - waiting) * met(crowds, 0.0)[0]
    told = [
        (one, float(w)) for one, w in zip(crowds, weights, strict=True) if workflow in one.latency
    ]
    whole = sum(weight for _, weight in told)
    parts = [(one, weight / whole) for one, weight in told if weight > 1e-6 * whole]
    pooled = [
        (sample, weight / len(one.samples[workflow]))
        for one, weight in parts
        for sample in one.samples[workflow]
    ]
    latency = _quantiles([(one.latency, weight) for one, weight in pooled])
    first = [(one.ttft, weight) for one, weight in pooled if one.ttft is not None]
    tpot = [(value, weight) for one, weight in pooled if (value := one.tpot) is not None]
    mean = sum(weight * one.latency[workflow] for one, weight in parts)
    return ProfilePoint(
        rate=rate,
        latency=mean,
        p50=latency.p50,
        p90=latency.p90,
        p99=latency.p99,
        ttft=_mean(first) if first else mean,
        tpot=_mean(tpot) if tpot else 0.0,
        samples=len(pooled),
        noise=sum((weight * one.noise[workflow]) ** 2 for one, weight in parts) ** 0.5,
        ttft_quantiles=_quantiles(first) if first else None,
        tpot_quantiles=_quantiles(tpot) if tpot else None,
    )


def idle(crowds: Sequence[Crowd], workflow: str) -> float:
    """Seconds of a call in the smallest crowd that has any."""
    return next(one.latency[workflow] for one in crowds if workflow in one.latency)


def sustained(crowds: Sequence[Crowd]) -> float:
    """The highest rate, in calls per second."""
    low, high = 0.0, max(one.rate for one in crowds)
    for _ in range(30):
        middle = (low + high) / 2
        if met(crowds, middle)[1] <= LOST:
            low = middle
        else:
            high = middle
    return low


def met(crowds: Sequence[Crowd], rate: float) -> tuple[Floats, float]:
    """How often a run that comes makes a crowd of each size, where `rate` calls per second come;
    and how often one that grows for ever.
    """
    if rate <= 0:
        return np.eye(len(crowds))[0], 0.0
    sizes = np.array([float(one.runs) for one in crowds])
    others: Floats = np.arange(crowds[-1].runs, dtype=np.float64)
    # The seconds of a run are nearly linear in the size of the crowd; calls per second are not.
    seconds: Floats = np.interp(others + 1, sizes, np.array([one.seconds for one in crowds]))
    back: Floats = (others + 1) / seconds
    recovers = bool(back[-1] > rate and back[-1] >= COLLAPSED * back.max())
    if not recovers:
        peak = int(np.argmax(back))
        stays = peak + int(np.argmax(back[peak:] <= max(rate, back[-1])))
        others, back = others[: stays + 1], back[: stays + 1]
    logs: Floats = np.concatenate([np.zeros(1), np.cumsum(np.log(rate / back[:-1]))])
    often: Floats = np.exp(logs - logs.max())
    if recovers:  # larger crowds are taken for the largest
        often[-1] /= 1.0 - rate / back[-1]
    often /= often.sum()
    place: Floats = np.interp(others + 1, sizes, np.arange(len(sizes), dtype=np.float64))
    low = np.floor(place).astype(np.int64)
    weights = np.zeros(len(sizes) + 1)
    np.add.at(weights, low, often * (low + 1 - place))
    np.add.at(weights, low + 1, often * (place - low))
    return weights[:-1], 0.0 if recovers else float(often[-1])


def _waiting(alone: Crowd) -> float:
    """How much of what exponential bursts would wait those do that are met."""
    samples = [one for of in alone.samples.values() for one in of]
    if any(one.output_tokens > 1 for one in samples):
        return 1.0
    work: Counter[tuple[int, float]] = Counter()
    for one in samples:
        work[one.unit, one.sent] += one.prompt_tokens - one.cached_tokens
    return min(1.0, (1.0 + pvariance(work.values()) / fmean(work.values()) ** 2) / 2)


def _mean(weighted: Sequence[tuple[float, float]]) -> float:
    return sum(value * weight for value, weight in weighted) / sum(w for _, w in weighted)


def _quantiles(weighted: Sequence[tuple[float, float]]) -> Quantiles:
    values, weights = zip(*weighted, strict=True)
    p50, p90, p99 = weighted_quantiles(values, weights, (0.5, 0.9, 0.99))
    return Quantiles(p50=p50, p90=p90, p99=p99)
