"""Standard errors of a mean whose values depend on one another (method of batch means).

Latencies of calls that follow one another share a queue, so the standard error of independent
values would be far too small. The means of long batches of consecutive values are nearly
independent.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import stdev
from typing import TypeVar

_T = TypeVar("_T")

BATCHES = 10
"""Usual number of batches. With ten batches the standard error itself is known to about a quarter
of its value, and each batch is long enough to contain the fluctuations of a queue.
"""


def consecutive(values: Sequence[_T], count: int = BATCHES) -> list[Sequence[_T]]:
    """At most `count` batches of consecutive values, of equal size within one; none is empty."""
    count = min(count, len(values))
    bounds = [index * len(values) // count for index in range(count + 1)] if count else []
    return [values[low:high] for low, high in pairwise(bounds)]


def standard_error(means: Sequence[float]) -> float | None:
    """Standard error of the mean of independent `means`; None for fewer than two."""
    return stdev(means) / math.sqrt(len(means)) if len(means) > 1 else None


def t_95(batches: int) -> float:
    """Half the width of the 95% interval of a mean over `batches` batch means, in standard errors:
    Student's quantile with `batches` - 1 degrees of freedom. Infinite for fewer than two.
    """
    if batches < 2:
        return math.inf
    special = importlib.import_module("scipy.special")  # 0.2 s to import: not before it is needed
    return float(special.stdtrit(batches - 1, 0.975))
