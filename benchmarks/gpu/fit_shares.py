"""Fits what a share of the multiprocessors keeps of compute and of memory bandwidth. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

import numpy as np

LONG_PREFILL = 2048
"""Prompt tokens from which a step is bound by compute, whatever the share."""
SMALL_BATCH = 32
"""Decoding sequences up to which a step is bound by memory."""


@dataclass(frozen=True, slots=True)
class ShareRatio:
    """How many times longer the same step took on `share` of the multiprocessors than on all,
    without the part of it that no share stretches.
    """

    bound: Literal["compute", "memory"]
    share: float
    ratio: float


def ratio(measured: float, whole: float, fixed: float) -> float:
    """Stretch of the part of a step that is not `fixed` (seconds all three)."""
    return (measured - fixed) / (whole - fixed)


def fit_stretch(ratios: Iterable[ShareRatio]) -> tuple[float, float]:
    """(a, b) of a + b / share, with a + b = 1: a whole GPU is the unit. Least squares of the
    relative error of the compute-bound steps on less than a GPU; ValueError without one.
    """
    found = [(each.share, each.ratio) for each in ratios if _partial(each, "compute")]
    if not found:
        raise ValueError("no long prefill was measured on a part of the GPU")
    share, stretch = np.array(found).T
    # The relative error is linear in b: slope times b, less the offset.
    slope, offset = (1 / share - 1) / stretch, 1 - 1 / stretch
    b = float(slope @ offset / (slope @ slope))
    return 1 - b, b


def fit_bandwidth(ratios: Iterable[ShareRatio]) -> tuple[tuple[float, float], ...]:
    """(share, part of the bandwidth kept): medians, made to rise, from (0, 0) to (1, 1)."""
    at: dict[float, list[float]] = defaultdict(list)
    for each in ratios:
        if _partial(each, "memory"):
            at[round(each.share, 4)].append(1 / each.ratio)
    points, most = [(0.0, 0.0)], 0.0
    for share in sorted(at):
        most = min(1.0, max(most, median(at[share])))
        points.append((share, round(most, 4)))
    return (*points, (1.0, 1.0))


def share_errors(
    ratios: Sequence[ShareRatio],
    stretch: Callable[[float], float],
    kept: Callable[[float], float],
) -> dict[str, float]:
    """Mean absolute relative error of both curves."""
    errors: dict[str, list[float]] = defaultdict(list)
    for each in ratios:
        if _partial(each, each.bound):
            guess = stretch(each.share) if each.bound == "compute" else 1 / kept(each.share)
            errors[each.bound].append(abs(guess / each.ratio - 1))
    return {bound: fmean(found) for bound, found in errors.items()}


def _partial(each: ShareRatio, bound: str) -> bool:
    return each.bound == bound and each.share < 1
