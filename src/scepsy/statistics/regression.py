"""Least squares under constraints: monotone (isotonic) and non-negative."""

from __future__ import annotations

import importlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def isotonic(rows: Floats, weights: Floats) -> Floats:
    """Isotonic regression of each row of `rows` (rows x points): the never-falling values nearest
    to it in weighted least squares.

    By its min-max formula, for all rows at once: the greatest over beginnings of the least over
    ends of the weighted means (Robertson, Wright and Dykstra, Order Restricted Statistical
    Inference, 1988). `scipy.optimize.isotonic_regression` takes one row at a time, which is 2.6
    times as slow for 200 bootstrap rows of 11 points.
    """
    sums = np.cumsum(np.pad(rows * weights, ((0, 0), (1, 0))), axis=1)
    totals = np.cumsum(np.pad(weights, (1, 0)))
    lengths = totals[None, 1:] - totals[:-1, None]  # from a (row) to b (column), inclusive
    upper = np.triu(np.ones_like(lengths, dtype=bool))
    spans = (sums[:, None, 1:] - sums[:, :-1, None]) / np.where(upper, lengths, 1.0)
    least = np.minimum.accumulate(np.where(upper, spans, np.inf)[..., ::-1], axis=-1)[..., ::-1]
    return np.where(upper, least, -np.inf).max(axis=1)


def non_negative(rows: Floats, wanted: Floats) -> Floats:
    """The x without negative elements that minimises the sum of squares of `rows @ x - wanted`.

    Columns may differ by many orders of magnitude: each is scaled to a largest value of 1.
    """
    optimize = importlib.import_module("scipy.optimize")  # 0.5 s to import: not before it is needed
    scale = np.maximum(np.abs(rows).max(axis=0), 1e-300)
    found: Floats = optimize.nnls(rows / scale, wanted)[0]
    return found / scale
