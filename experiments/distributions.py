"""Two samples of times beside each other (pure)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from statistics import fmean

from scepsy.statistics.quantiles import quantile

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
Comparison = dict[str, float]


def compare(predicted: Sequence[float], observed: Sequence[float]) -> Comparison:
    """Mean and quantiles of both, the relative error of each, and the Kolmogorov-Smirnov distance;
    `samples` counts what was observed. Neither may be empty.
    """
    row: Comparison = {"samples": len(observed)}
    for name, (ours, theirs) in statistics(predicted, observed).items():
        row |= {f"{name}_predicted": ours, f"{name}_observed": theirs}
        row[f"{name}_error"] = ours / theirs - 1
    return row | {"ks": distance(predicted, observed)}


def statistics(
    predicted: Sequence[float], observed: Sequence[float]
) -> dict[str, tuple[float, float]]:
    """Mean and quantiles of both, by name."""
    both = sorted(predicted), sorted(observed)
    found = {"mean": (fmean(predicted), fmean(observed))}
    for name, at in QUANTILES.items():
        found[name] = quantile(both[0], at), quantile(both[1], at)
    return found


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """The most by which the parts of both samples that are at most x differ, over all x."""
    ranked, theirs = sorted(one), sorted(other)
    return max(
        abs(bisect_right(ranked, x) / len(ranked) - bisect_right(theirs, x) / len(theirs))
        for x in (*ranked, *theirs)
    )
