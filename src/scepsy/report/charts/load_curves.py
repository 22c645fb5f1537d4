"""Throughput-latency charts: predicted against measured, the plan against the even split."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scepsy.report import wording
from scepsy.report.charts.axes import Axis, fit
from scepsy.report.charts.chart import Chart, ChartMark, Label, Line, finite, path
from scepsy.report.data import CurvePoint, Measurement, WorkflowCurves

WIDTH, HEIGHT = 540, 330
LEFT, TOP, RIGHT, BOTTOM = 58, 26, 14, 48


def chart(curves: WorkflowCurves) -> Chart:
    """One workflow's chart. Measured points stand at the throughput that was measured."""
    measured = (*curves.measured, *curves.even_measured)
    predicted = (*curves.predicted, *curves.even_predicted)
    rates = [
        *(p.rate for p in predicted if math.isfinite(p.latency)),
        *(m.throughput for m in measured),
        curves.target_rate,
    ]
    latencies = [
        *(p.latency for p in predicted),
        *(value for m in measured for value in (m.latency_mean, m.latency_p99)),
    ]
    x = fit(rates, LEFT, WIDTH - RIGHT, linear=True)
    y = fit(latencies, HEIGHT - BOTTOM, TOP)
    furthest = max((point.rate for point in predicted), default=0.0)
    target = x.at(curves.target_rate)
    lines = (
        Line(f"M{target:g},{y.start:g}V{y.end:g}", "target", "target"),
        *_predicted(curves.even_predicted, x, y, "even", furthest),
        *_predicted(curves.predicted, x, y, "plan", furthest),
        *_tails(curves.even_measured, x, y, "even"),
        *_tails(curves.measured, x, y, "plan"),
    )
    text = f"target {wording.rate(curves.target_rate)}"
    late = target > (x.start + x.end) / 2
    return Chart(
        title=curves.workflow,
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label="throughput (runs/s)",
        y_label="latency of a run (s)" + (", logarithmic" if y.log else ""),
        lines=lines,
        marks=(*_marks(curves.even_measured, x, y, "even"), *_marks(curves.measured, x, y, "plan")),
        labels=(
            Label(
                target + (-6 if late else 6), TOP - 8, text, "target", "end" if late else "start"
            ),
        ),
    )


def _predicted(
    points: Sequence[CurvePoint], x: Axis, y: Axis, who: str, furthest: float
) -> list[Line]:
    """The predicted curve, and a wall where it ends early because an LLM saturates."""
    known = finite((point.rate, point.latency) for point in points)
    if not known:
        return []
    title = f"predicted, {_NAMES[who]}"
    lines = [Line(path(known, x, y), f"predicted {who}", title)]
    rate, latency = known[-1]
    if len(known) < len(points) or rate < furthest * 0.97:
        wall = f"M{x.at(rate):g},{y.at(latency):g}V{y.end:g}"
        lines.append(Line(wall, f"wall {who}", f"{title}: saturates beyond {wording.rate(rate)}"))
    return lines


def _tails(measured: Sequence[Measurement], x: Axis, y: Axis, who: str) -> list[Line]:
    """From each mean to its p99."""
    return [
        Line(path([(m.throughput, m.latency_mean), (m.throughput, m.latency_p99)], x, y), who, "")
        for m in measured
        if math.isfinite(m.latency_mean) and math.isfinite(m.latency_p99)
    ]


def _marks(measured: Sequence[Measurement], x: Axis, y: Axis, who: str) -> list[ChartMark]:
    marks: list[ChartMark] = []
    for point in measured:
        at = f"at {wording.rate(point.throughput)} (offered {wording.rate(point.offered_rate)})"
        runs = f"{wording.count(point.completed, 'run')} completed, {point.failed} failed"
        for what, value, shape in (
            ("p99", point.latency_p99, "ring"),
            ("mean", point.latency_mean, _SHAPES[who]),
        ):
            if math.isfinite(value):
                title = f"measured, {_NAMES[who]}: {what} {wording.seconds(value)} {at}; {runs}"
                marks.append(ChartMark(x.at(point.throughput), y.at(value), shape, who, title))
    return marks


_NAMES = {"plan": "this plan", "even": "even split"}
_SHAPES = {"plan": "dot", "even": "square"}
