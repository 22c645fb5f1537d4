"""Predicted means beside observed ones: bias, mean absolute error, and how often the interval holds
what it should.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from scepsy.predict import NINETY_PERCENT

WANTED = "Wanted: bias at most 3%, mean error at most 10%, coverage 85 to 95%."
EXPLAINED = (
    "Bias is the mean of the signed relative errors (positive: predicted too slow), error that of "
    "the absolute ones. Coverage is how often the 90% interval holds the observed mean, which is "
    "itself one of finitely many runs: its own 90% half-width is added to the interval's in "
    "quadrature. Width is the median half-width of the interval, and in brackets that with the "
    "observation's.\n"
)


@dataclass(frozen=True, slots=True)
class Compared:
    """One predicted mean latency with its 90% interval, and what was observed, with the standard
    error of that. Seconds.
    """

    predicted: float
    low: float
    high: float
    observed: float
    observed_error: float

    @property
    def error(self) -> float:
        """Relative to what was observed."""
        return self.predicted / self.observed - 1

    @property
    def width(self) -> float:
        """Half-width of the interval of the logarithm of the predicted mean."""
        return math.log(self.high / self.low) / 2

    @property
    def whole_width(self) -> float:
        """The same with the error of the observed mean."""
        return math.hypot(self.width, NINETY_PERCENT * self.observed_error / self.observed)

    @property
    def held(self) -> bool:
        return abs(math.log(self.predicted / self.observed)) <= self.whole_width


def table(groups: Iterable[tuple[Sequence[str], Sequence[Compared]]], heads: Sequence[str]) -> str:
    """One row for each group of at least one comparison, whose cells are named by `heads`."""
    lines = [
        f"| {' | '.join(heads)} | points | bias | error | coverage | width |",
        "|---" * (len(heads) + 5) + "|",
    ]
    lines += [f"| {' | '.join([*names, *_cells(own)])} |" for names, own in groups if own]
    return "\n".join(lines) + "\n"


def _cells(own: Sequence[Compared]) -> list[str]:
    errors = [one.error for one in own]
    narrow, whole = _median(one.width for one in own), _median(one.whole_width for one in own)
    return [
        str(len(own)),
        f"{fmean(errors):+.1%}",
        f"{fmean(map(abs, errors)):.1%}",
        f"{sum(one.held for one in own)} of {len(own)}, {fmean(one.held for one in own):.0%}",
        f"±{narrow:.0%} (±{whole:.0%})",
    ]


def _median(values: Iterable[float]) -> float:
    ranked = sorted(values)
    return ranked[len(ranked) // 2]
