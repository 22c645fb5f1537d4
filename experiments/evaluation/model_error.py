"""Rows of E2 -> how far the replay is off for reasons of its own, by utilisation: what
`scepsy.predict.interval.MODEL_ERROR` says.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

Rows = Sequence[dict[str, Any]]
BOUNDS = (0.0, 0.5, 0.7, 0.8, 1.01)
"""Utilisations between which errors are taken together: each holds about as many points."""
ERROR_MIN = 0.01
"""Standard deviation that no predictor is trusted to be below."""
HEAD = """Replay against a simulation of the same traced runs, which has no error of the sample: the
root of the mean square of the relative errors in the time spent in LLMs, less the noise of the
simulations. A few plans near saturation rule it. `MODEL_ERROR` in `src/scepsy/predict/interval.py`
was set by hand below this table, from about twenty such comparisons; the coverage above and in E1
says that it suffices but near saturation.

"""


@dataclass(frozen=True, slots=True)
class Bin:
    """Points of about the same utilisation: its mean, how many points, mean and standard deviation
    of the relative error.
    """

    utilisation: float
    points: int
    bias: float
    error: float


def bins(rows: Rows) -> list[Bin]:
    """Of sustained loads in simulated programs; the runs of a demo are too few."""
    known = [
        row
        for row in rows
        if row["sustained"] and row.get("same_runs") and "GPUs" in row["case"] and row["in_llms"]
    ]
    found: list[Bin] = []
    for low, high in pairwise(BOUNDS):
        own = [row for row in known if low <= row["utilisation"] < high]
        if own:
            errors = [math.log(row["predicted"] / row["same_runs"]) / row["in_llms"] for row in own]
            noise = [row["same_runs_error"] / row["same_runs"] / row["in_llms"] for row in own]
            square = fmean(
                error**2 - chance**2 for error, chance in zip(errors, noise, strict=True)
            )
            where = fmean(row["utilisation"] for row in own)
            error = max(ERROR_MIN, max(0.0, square) ** 0.5)
            found.append(Bin(where, len(own), fmean(errors), error))
    return found


def never_falling(of: Sequence[Bin]) -> list[tuple[float, float]]:
    """Utilisation and standard deviation. A predictor is not surer at more load."""
    highest = 0.0
    found: list[tuple[float, float]] = []
    for one in of:
        highest = max(highest, one.error)
        found.append((one.utilisation, highest))
    return found


def report(rows: Rows) -> str:
    known = bins(rows)
    if not known:
        return "These rows were made before intervals were kept.\n"
    lines = ["| utilisation of the LLMs, mean | points | bias | error | taken |", "|---" * 5 + "|"]
    lines += [
        f"| {one.utilisation:.2f} | {one.points} | {one.bias:+.1%} | {one.error:.1%} "
        f"| {taken:.1%} |"
        for one, (_, taken) in zip(known, never_falling(known), strict=True)
    ]
    return HEAD + "\n".join(lines) + "\n"
