"""The points of a curve, from the calls at one rate (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from scepsy.core.profile import ProfilePoint, Quantiles
from scepsy.curves.rounds import Sample
from scepsy.statistics.quantiles import quantile


def profile_point(
    rate: float, mean: float, noise: float, samples: Sequence[Sample]
) -> ProfilePoint:
    """A point with this mean latency and its standard error `noise`, in seconds; the other times
    are those of the samples.
    """
    latencies = sorted(sample.latency for sample in samples)
    ttfts = [sample.ttft for sample in samples if sample.ttft is not None]
    tpots = [tpot for sample in samples if (tpot := sample.tpot) is not None]
    return ProfilePoint(
        rate=rate,
        latency=mean,
        p50=quantile(latencies, 0.5),
        p90=quantile(latencies, 0.9),
        p99=quantile(latencies, 0.99),
        ttft=fmean(ttfts) if ttfts else mean,
        tpot=fmean(tpots) if tpots else 0.0,
        samples=len(samples),
        noise=noise,
        ttft_quantiles=_quantiles(ttfts),
        tpot_quantiles=_quantiles(tpots),
    )


def _quantiles(values: Sequence[float]) -> Quantiles | None:
    if not values:
        return None
    ranked = sorted(values)
    return Quantiles(
        p50=quantile(ranked, 0.5), p90=quantile(ranked, 0.9), p99=quantile(ranked, 0.99)
    )
