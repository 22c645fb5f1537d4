"""The 90% interval of a predicted mean latency, from the error that each cause adds (pure).

Errors are relative, because an error in the load changes every latency by a factor. The interval is
therefore that of the logarithm of the mean. Causes are independent, so their standard deviations
are combined in quadrature:

    low, high = mean / (1 + w), mean * (1 + w),    w = exp(h) - 1,    h^2 = sum over causes of h_i^2

where h_i is the half-width that cause i alone would give. The lower end is never negative, and the
interval reaches farther up than down, as the latency does near saturation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from scepsy.core.plan import IntervalParts, StagePrediction

NINETY_PERCENT = 1.645
"""Standard deviations to either side that hold 90% of a normal distribution."""

MODEL_ERROR = ((0.0, 0.02), (0.5, 0.04), (0.7, 0.08), (1.0, 0.10))
"""(utilisation, standard deviation of the relative error in the predicted time spent in LLMs);
linear between these points. Set by hand from about twenty comparisons of the replay of a thousand
traced runs with a simulation of the same runs; intervals with it hold 95% of E1's means and 91% of
E2's. The table "Error of the predictor" in e2.md (`experiments/e2_prediction.py`) is higher above a
utilisation of 0.6, where a few plans near saturation rule it.
"""


def model_error(utilisation: float) -> float:
    """Standard deviation of the predictor's error, relative, at that utilisation of the LLMs."""
    loads, errors = zip(*MODEL_ERROR, strict=True)
    return float(np.interp(utilisation, loads, errors))


def mean_utilisation(stages: Sequence[StagePrediction], utilisation: dict[str, float]) -> float:
    """Utilisation of the LLMs of a workflow, weighted by the time that a run spends in each."""
    seconds = sum(stage.seconds for stage in stages)
    if not seconds:
        return 0.0
    return sum(stage.seconds * min(1.0, utilisation[stage.llm]) for stage in stages) / seconds


def half_width(parts: IntervalParts) -> float:
    """Half-width of the 90% interval of the logarithm of the mean, of all causes together."""
    return math.hypot(parts.runs, parts.curves, parts.model, parts.estimate)


def interval(mean: float, parts: IntervalParts) -> tuple[float, float]:
    """Lowest and highest mean latency, seconds, with 90% confidence."""
    factor = math.exp(half_width(parts))
    return mean / factor, mean * factor


def runs_to_halve(parts: IntervalParts) -> int | None:
    """The number of additional traced runs that would halve the interval; None where no number
    would, because the other causes alone are wider than half of it.
    """
    others = math.hypot(parts.curves, parts.model, parts.estimate)
    wanted = (half_width(parts) / 2) ** 2 - others**2
    if wanted <= 0:
        return None
    return math.ceil(parts.traced * (parts.runs**2 / wanted - 1))
