"""Least squares for a handful of positive constants, with numpy alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def levenberg(residual: Callable[[Vector], Vector], start: Vector, bounds: Vector) -> Vector:
    """The point inside `bounds` (2, n) where the squares of `residual` sum to least, as far as
    Levenberg-Marquardt with a numeric Jacobian finds one from `start`.
    """
    point = np.clip(start, *bounds)
    errors = residual(point)
    damping = 1e-3
    for _ in range(200):
        slopes = _jacobian(residual, point, errors, bounds)
        normal, gradient = slopes.T @ slopes, slopes.T @ errors
        # A constant at its bound that would leave stays there: the others move without it.
        stuck = ((point <= bounds[0]) & (gradient > 0)) | ((point >= bounds[1]) & (gradient < 0))
        free = np.flatnonzero(~stuck)
        if not len(free):
            break
        step = np.zeros_like(point)
        scaled = normal[np.ix_(free, free)]
        scaled = scaled + damping * np.diag(np.diag(scaled) + 1e-12)
        step[free] = -np.linalg.solve(scaled, gradient[free])
        moved = np.clip(point + step, *bounds)
        after = residual(moved)
        if after @ after < errors @ errors:
            gain = 1 - (after @ after) / (errors @ errors)
            point, errors, damping = moved, after, damping / 5
            if gain < 1e-10:
                break
        elif (damping := damping * 4) > 1e10:
            break
    return point


def _jacobian(
    residual: Callable[[Vector], Vector], point: Vector, errors: Vector, bounds: Vector
) -> Vector:
    slopes = np.empty((len(errors), len(point)))
    for index in range(len(point)):
        nudge = 1e-6 if point[index] + 1e-6 <= bounds[1, index] else -1e-6
        moved = point.copy()
        moved[index] += nudge
        slopes[:, index] = (residual(moved) - errors) / nudge
    return slopes
