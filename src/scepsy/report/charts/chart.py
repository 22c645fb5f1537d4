"""A chart as values in pixels, ready for the template."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from scepsy.report.charts.axes import Axis

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """A path. `css` names its colour and dash."""

    path: str
    css: str
    title: str


@dataclass(frozen=True, slots=True)
class ChartMark:
    """A point: "dot", "square" or "ring"."""

    x: float
    y: float
    shape: str
    css: str
    title: str


@dataclass(frozen=True, slots=True)
class Label:
    """Text in the plot."""

    x: float
    y: float
    text: str
    css: str = ""
    anchor: str = "start"


@dataclass(frozen=True, slots=True)
class Chart:
    """Axes with what is drawn between them; `x` runs right, `y` runs up."""

    title: str
    width: int
    height: int
    x: Axis
    y: Axis
    x_label: str
    y_label: str
    lines: tuple[Line, ...] = ()
    marks: tuple[ChartMark, ...] = ()
    labels: tuple[Label, ...] = ()
    css: str = ""


def path(points: Iterable[Point], x: Axis, y: Axis) -> str:
    """SVG path through (x, y) values, up to the first one that is not finite."""
    drawn = [f"{x.at(a):g},{y.at(b):g}" for a, b in finite(points)]
    return "M" + "L".join(drawn) if drawn else ""


def finite(points: Iterable[Point]) -> list[Point]:
    """The points before the first that is not finite."""
    kept: list[Point] = []
    for point in points:
        if not all(map(math.isfinite, point)):
            break
        kept.append(point)
    return kept


def apart(labels: Sequence[Label], gap: float, reach: float) -> tuple[Label, ...]:
    """The labels, moved down where two within `reach` of each other sideways are closer than
    `gap`.
    """
    placed: list[Label] = []
    for label in sorted(labels, key=lambda label: label.y):
        y = label.y
        for other in placed:
            if abs(other.x - label.x) < reach and abs(y - other.y) < gap:
                y = other.y + gap
        placed.append(replace(label, y=round(y, 1)))
    return tuple(placed)
