"""Mean latency of calls that arrive open-loop, from the closed-loop measurements (pure).

With N concurrent runs an engine completes X(N) calls per second and each takes L(N) seconds
(`closed_loop`). Where runs arrive as a Poisson process and bring `rate` calls per second, the
number of concurrent runs is close to a birth-death process. An arriving run finds N others with
probability p(N), so

    latency(rate) = sum over N of p(N) L(N + 1),    p(N) / p(N - 1) = rate / X(N)

This is exact for product-form queueing networks and a good approximation for engines that serve
many calls at once (flow-equivalent servers: Chandy, Herzog and Woo, Parametric Analysis of Queuing
Networks, 1975). Simulating the arrivals themselves would have to last many times as long as a run.

Where calls are prompts alone, served one after another, waiting depends on how much the work of
bursts varies: it is (1 + c^2) / 2 of the waiting for exponential work (Pollaczek and Khinchine),
with c the standard deviation of the work over its mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean, pvariance

import numpy as np
from numpy.typing import NDArray

from scepsy.core.profile import ProfilePoint, Quantiles
from scepsy.estimate.queueing.closed_loop import COLLAPSED, Population
from scepsy.statistics.quantiles import weighted_quantiles

Floats = NDArray[np.float64]

OVERLOADED_MAX = 0.02
"""A rate is sustained if at most this fraction of arriving runs finds a population that only grows.
A large population is slower than a small one when prompts are evicted from the KV cache, so an
engine that sustains a rate most of the time may still become overloaded.
"""


def open_loop_point(
    populations: Sequence[Population], workflow: str, calls: float, rate: float
) -> ProfilePoint:
    """The workflow's point on its curve at which all workflows together send `calls` calls per
    second; `rate` is the rate that the point states.
    """
    weights, _ = population_weights(populations, calls)
    waiting = _waiting(populations[0])
    weights = waiting * weights + (1.0 - waiting) * population_weights(populations, 0.0)[0]
    seen = [
        (one, float(weight))
        for one, weight in zip(populations, weights, strict=True)
        if workflow in one.latency
    ]
    whole = sum(weight for _, weight in seen)
    parts = [(one, weight / whole) for one, weight in seen if weight > 1e-6 * whole]
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


def idle_latency(populations: Sequence[Population], workflow: str) -> float:
    """Mean seconds of a call in the smallest population that contains the workflow."""
    return next(one.latency[workflow] for one in populations if workflow in one.latency)


def max_sustained_rate(populations: Sequence[Population]) -> float:
    """The highest sustained rate, in calls per second."""
    low, high = 0.0, max(one.rate for one in populations)
    for _ in range(30):
        middle = (low + high) / 2
        if population_weights(populations, middle)[1] <= OVERLOADED_MAX:
            low = middle
        else:
            high = middle
    return low


def population_weights(populations: Sequence[Population], rate: float) -> tuple[Floats, float]:
    """The probability that an arriving run makes a population of each size, if runs bring `rate`
    calls per second; and the probability that the population then grows without bound.
    """
    if rate <= 0:
        return np.eye(len(populations))[0], 0.0
    sizes = np.array([float(one.runs) for one in populations])
    others: Floats = np.arange(populations[-1].runs, dtype=np.float64)
    # Seconds of a run are nearly linear in the size of the population; calls per second are not.
    seconds: Floats = np.interp(others + 1, sizes, np.array([one.seconds for one in populations]))
    back: Floats = (others + 1) / seconds
    recovers = bool(back[-1] > rate and back[-1] >= COLLAPSED * back.max())
    if not recovers:
        peak = int(np.argmax(back))
        stays = peak + int(np.argmax(back[peak:] <= max(rate, back[-1])))
        others, back = others[: stays + 1], back[: stays + 1]
    logs: Floats = np.concatenate([np.zeros(1), np.cumsum(np.log(rate / back[:-1]))])
    often: Floats = np.exp(logs - logs.max())
    if recovers:  # larger populations count as the largest one
        often[-1] /= 1.0 - rate / back[-1]
    often /= often.sum()
    place: Floats = np.interp(others + 1, sizes, np.arange(len(sizes), dtype=np.float64))
    low = np.floor(place).astype(np.int64)
    weights = np.zeros(len(sizes) + 1)
    np.add.at(weights, low, often * (low + 1 - place))
    np.add.at(weights, low + 1, often * (place - low))
    return weights[:-1], 0.0 if recovers else float(often[-1])


def _waiting(alone: Population) -> float:
    """Waiting time of an arriving run relative to that for exponential work: (1 + c^2) / 2 if calls
    are prompts alone, 1 if tokens are generated.
    """
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
