"""The assignment problem: pairs of rows and columns with the least sum of costs."""

from __future__ import annotations

import importlib

import numpy as np
from numpy.typing import NDArray


def cheapest_pairs(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """(row, column) pairs with the least sum of costs: as many as the smaller dimension, each row
    and each column in at most one, sorted by row. The costs are finite.
    """
    optimize = importlib.import_module("scipy.optimize")  # 0.3 s to import: not before it is needed
    rows, columns = optimize.linear_sum_assignment(costs)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))
