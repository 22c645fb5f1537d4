"""Throughput-latency charts: predicted against measured, the plan against the even split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from scepsy.predict import NINETY_PERCENT
from scepsy.report import wording
from scepsy.report.charts.axes import Axis, fit, seconds
from scepsy.report.charts.chart import Chart, ChartMark, Label, Line, finite, path
from scepsy.report.data import CurvePoint, Measurement, WorkflowCurves

WIDTH, HEIGHT = 480, 336
LEFT, TOP, RIGHT, BOTTOM = 60, 58, 16, 48
NEAR = 2.5
"""Times the target up to which a chart is made wide enough to show where an LLM saturates."""
CAP = 3
"""Pixels from the middle of an error bar's end to the end of its cap."""


def chart(curves: WorkflowCurves) -> Chart:
    """One workflow's chart. Measured points stand at the throughput that was measured; their bars
    hold throughput and mean latency with 90% confidence.
    """
    measured = (*curves.measured, *curves.even_measured)
    predicted = (*curves.predicted, *curves.even_predicted)
    rates = [
        *(p.rate for p in predicted if math.isfinite(p.latency)),
        *(m.throughput for m in measured),
        curves.target_rate,
        *_near(curves),
    ]
    latencies = [
        *(p.latency for p in predicted),
        *(value for m in measured for value in (*_interval(m), m.latency_p99 or 0.0)),
    ]
    x = fit(rates, LEFT, WIDTH - RIGHT, linear=True)
    y = fit(latencies, HEIGHT - BOTTOM, TOP, label=seconds)
    target = x.at(curves.target_rate)
    even = _predicted(curves.even_predicted, x, y, "even", curves.even_saturation)
    plan = _predicted(curves.predicted, x, y, "plan", curves.saturation)
    lines = (
        Line(f"M{target:g},{y.start:g}V{y.end:g}", "target", "target"),
        *even,
        *plan,
        *_error_bars(curves.even_measured, x, y, "even"),
        *_error_bars(curves.measured, x, y, "plan"),
    )
    return Chart(
        title=curves.workflow,
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label="throughput (runs/s), all workflows growing alike",
        y_label="latency of a run" + (", logarithmic" if y.log else ""),
        lines=lines,
        marks=(*_marks(curves.even_measured, x, y, "even"), *_marks(curves.measured, x, y, "plan")),
        labels=(
            _above(target, x, f"target {wording.rate(curves.target_rate)}", TOP - 24),
            *_saturation(curves, x),
        ),
    )


def _near(curves: WorkflowCurves) -> list[float]:
    """The rates of saturation that are near enough to the target to be worth the room."""
    rates = (curves.saturation, curves.even_saturation)
    return [rate for rate in rates if rate is not None and 0 < rate <= NEAR * curves.target_rate]


def _above(at: float, x: Axis, text: str, y: float) -> Label:
    """A label above the plot, on the side of `at` that has more room."""
    late = at > (x.start + x.end) / 2
    return Label(at + (-6 if late else 6), y, text, "target", "end" if late else "start")


def _saturation(curves: WorkflowCurves, x: Axis) -> Iterator[Label]:
    """Where the plan is predicted to saturate, as a factor on the target."""
    if curves.saturation is None or not math.isfinite(curves.saturation):
        return
    factor = wording.factor(curves.saturation / curves.target_rate)
    if curves.saturation <= x.high:
        yield _above(x.at(curves.saturation), x, f"saturates at {factor}", TOP - 8)
    else:
        yield Label(x.end, TOP - 8, f"saturates at {factor}, beyond this chart", "target", "end")


def _predicted(
    points: Sequence[CurvePoint], x: Axis, y: Axis, who: str, saturation: float | None
) -> list[Line]:
    """The predicted curve, and a wall at the rate where an LLM saturates. The curve ends earlier:
    latency is not predicted for a higher load than was profiled.
    """
    known = finite((point.rate, point.latency) for point in points)
    title = f"predicted, {_NAMES[who]}"
    lines = [Line(path(known, x, y), f"predicted {who}", title)] if known else []
    if saturation is not None and 0 < saturation <= x.high:
        wall = f"M{x.at(saturation):g},{y.start:g}V{y.end:g}"
        lines.append(Line(wall, f"wall {who}", f"{title}: saturates at {wording.rate(saturation)}"))
    return lines


def _interval(measured: Measurement) -> tuple[float, float]:
    """What holds the mean latency with 90% confidence; the mean itself where that is unknown."""
    half = NINETY_PERCENT * (measured.standard_error or 0.0)
    return max(0.0, measured.latency_mean - half), measured.latency_mean + half


def _error_bars(measured: Sequence[Measurement], x: Axis, y: Axis, who: str) -> Iterator[Line]:
    """Upright for the mean latency, level for the throughput."""
    for one in measured:
        if not math.isfinite(one.latency_mean):
            continue
        at, level = x.at(one.throughput), y.at(one.latency_mean)
        if one.standard_error is not None:
            low, high = map(y.at, _interval(one))
            bar = f"M{at - CAP:g},{low:g}h{2 * CAP}m{-CAP},0V{high:g}m{-CAP},0h{2 * CAP}"
            yield Line(bar, f"bar {who}", "mean latency, 90% interval")
        if one.throughput_high > 0:
            low, high = x.at(one.throughput_low), x.at(one.throughput_high)
            bar = f"M{low:g},{level - CAP:g}v{2 * CAP}m0,{-CAP}H{high:g}m0,{-CAP}v{2 * CAP}"
            yield Line(bar, f"bar {who}", "throughput, 90% interval")


def _marks(measured: Sequence[Measurement], x: Axis, y: Axis, who: str) -> Iterator[ChartMark]:
    """A mark for the mean, and a ring for the 99th percentile where the runs are enough for one."""
    for point in measured:
        at = f"at {wording.rate(point.throughput)} (offered {wording.rate(point.offered_rate)})"
        runs = f"{wording.count(point.completed, 'run')} completed, {point.failed} failed"
        for what, value, shape in (
            ("p99", point.latency_p99, "ring"),
            ("mean", point.latency_mean, _SHAPES[who]),
        ):
            if value is not None and math.isfinite(value):
                title = f"measured, {_NAMES[who]}: {what} {wording.seconds(value)} {at}; {runs}"
                yield ChartMark(x.at(point.throughput), y.at(value), shape, who, title)


_NAMES = {"plan": "this plan", "even": "even split"}
_SHAPES = {"plan": "dot", "even": "square"}
