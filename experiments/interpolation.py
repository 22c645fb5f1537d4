"""How to join measured points: each is left out in turn and predicted from the others.

    python experiments/interpolation.py [--keep N] PROFILE...

Prints, for each method, the mean absolute and the mean signed relative error of the latency that
was left out, and how often a 90% interval held it. Points at the ends are kept: nothing is
extrapolated. Every curve with four points or more counts. With `--keep N`, all but N points at
equal distances are left out at once, as a profile of so few rates would have them; estimated curves
(`scepsy estimate`) have enough points for that.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from scepsy.core.profile import Curve, ProfilePoint
from scepsy.predict.response import Measured, never_falling
from scepsy.store import read_profile

Floats = NDArray[np.float64]
NINETY = 1.645


@dataclass(frozen=True, slots=True)
class Left:
    """A curve without one of its points: rates relative to saturation, and what was left out."""

    points: tuple[ProfilePoint, ...]
    at: float
    truth: ProfilePoint

    @property
    def rates(self) -> Floats:
        return np.array([point.rate for point in self.points])


Method = Callable[[Left], tuple[float, float | None]]
"""Gives latency and its standard deviation, None where the method has none."""


def straight(left: Left) -> tuple[float, None]:
    """Isotonic regression, joined by straight lines."""
    return float(np.interp(left.at, left.rates, never_falling(left.points))), None


def reciprocal(left: Left) -> tuple[float, None]:
    """Isotonic regression, whose reciprocals are joined by straight lines, as the planner does."""
    return 1.0 / float(np.interp(left.at, left.rates, 1.0 / never_falling(left.points))), None


def bootstrap(left: Left) -> tuple[float, float]:
    """As `reciprocal`, with the spread that the planner uses."""
    measured = Measured(
        left.rates, latency := never_falling(left.points), latency, 1.0, points=left.points
    )
    return float(measured.latency_at(np.array([left.at]))[0]), measured.noise_at(left.at)


def monotone_cubic(left: Left) -> tuple[float, None]:
    """Isotonic regression, joined by Fritsch and Carlson's monotone cubics."""
    x, y = left.rates, never_falling(left.points)
    width = np.diff(x)
    slope = np.diff(y) / width
    tangent = np.concatenate([slope[:1], np.zeros(len(x) - 2), slope[-1:]])
    for i in range(1, len(x) - 1):
        if slope[i - 1] * slope[i] > 0:
            ahead, behind = 2 * width[i] + width[i - 1], width[i] + 2 * width[i - 1]
            tangent[i] = (ahead + behind) / (ahead / slope[i - 1] + behind / slope[i])
    i = int(np.clip(np.searchsorted(x, left.at) - 1, 0, len(width) - 1))
    t = (left.at - x[i]) / width[i]
    return float(
        (2 * t**3 - 3 * t**2 + 1) * y[i]
        + (t**3 - 2 * t**2 + t) * width[i] * tangent[i]
        + (3 * t**2 - 2 * t**3) * y[i + 1]
        + (t**3 - t**2) * width[i] * tangent[i + 1]
    ), None


def gaussian_process(left: Left) -> tuple[float, float]:
    """Of the logarithm of latency around a straight line; length and height by greatest
    likelihood.
    """
    x, y = left.rates, np.log([point.latency for point in left.points])
    noise = np.diag([(p.noise / p.latency) ** 2 + 1e-6 for p in left.points])
    line = np.vstack([np.ones_like(x), x]).T
    best: tuple[float, float, float] | None = None
    for length in (0.2, 0.35, 0.6, 1.0, 2.0):
        for height in (0.05, 0.15, 0.4, 1.0):
            inverse = np.linalg.inv(_kernel(x, x, length, height) + noise)
            rest = y - line @ _weighted(line, inverse, y)
            sign = np.linalg.slogdet(inverse)[1]
            likelihood = float(-rest @ inverse @ rest + sign)
            if best is None or likelihood > best[0]:
                best = (likelihood, length, height)
    assert best is not None
    _, length, height = best
    inverse = np.linalg.inv(_kernel(x, x, length, height) + noise)
    fit = _weighted(line, inverse, y)
    near = _kernel(np.array([left.at]), x, length, height)[0]
    mean = float(np.exp(fit[0] + fit[1] * left.at + near @ inverse @ (y - line @ fit)))
    return mean, mean * float(max(height**2 - near @ inverse @ near, 0.0)) ** 0.5


def _kernel(one: Floats, other: Floats, length: float, height: float) -> Floats:
    return height**2 * np.exp(-((one[:, None] - other[None, :]) ** 2) / 2 / length**2)


def _weighted(line: Floats, inverse: Floats, y: Floats) -> Floats:
    return np.linalg.solve(line.T @ inverse @ line + 1e-9 * np.eye(2), line.T @ inverse @ y)


METHODS: dict[str, Method] = {
    "isotonic, straight lines": straight,
    "isotonic, reciprocals": reciprocal,
    "the same, bootstrap": bootstrap,
    "isotonic, monotone cubic": monotone_cubic,
    "Gaussian process": gaussian_process,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profiles", type=Path, nargs="+")
    parser.add_argument("--keep", type=int, help="points of a curve that are kept (at least 3)")
    options = parser.parse_args()
    curves = [curve for path in options.profiles for curve in read_profile(path).curves]
    each = _left_out if options.keep is None else lambda curve: _thinned(curve, options.keep)
    least = max(4, (options.keep or 0) + 1)
    lefts = [left for curve in curves if len(curve.points) >= least for left in each(curve)]
    if not lefts:
        sys.exit(f"no curve has {least} points or more")
    lines = [f"{len(lefts)} points left out of {len(curves)} curves"]
    for name, method in METHODS.items():
        found = [(left.truth, *method(left)) for left in lefts]
        errors = [mean / truth.latency - 1 for truth, mean, _ in found]
        held = [
            abs(mean - truth.latency) <= NINETY * float(np.hypot(spread, truth.noise))
            for truth, mean, spread in found
            if spread is not None
        ]
        cover = f"{fmean(held):.0%}" if held else "-"
        lines.append(
            f"{name:26s} error {fmean(map(abs, errors)):6.1%}, signed {fmean(errors):+6.1%}"
            f"   90% interval holds {cover}"
        )
    sys.stdout.write("\n".join(lines) + "\n")


def _relative(curve: Curve) -> tuple[ProfilePoint, ...]:
    """Its points, at rates relative to saturation."""
    return tuple(replace(p, rate=p.rate / curve.max_throughput) for p in curve.points)


def _left_out(curve: Curve) -> Iterator[Left]:
    points = _relative(curve)
    for index in range(1, len(points) - 1):
        rest = (*points[:index], *points[index + 1 :])
        yield Left(rest, points[index].rate, points[index])


def _thinned(curve: Curve, keep: int) -> Iterator[Left]:
    points = _relative(curve)
    kept = [round(part * (len(points) - 1) / (keep - 1)) for part in range(keep)]
    rest = tuple(points[index] for index in kept)
    for index, truth in enumerate(points):
        if index not in kept:
            yield Left(rest, truth.rate, truth)


if __name__ == "__main__":
    main()
