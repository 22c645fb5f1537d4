"""Charts of a simulation: how latency is distributed over runs, and how it grows with the load."""

from __future__ import annotations

from math import isfinite

from scepsy.report import wording
from scepsy.report.charts.axes import Axis, fit, seconds
from scepsy.report.charts.chart import Chart, ChartMark, Label, Line, path
from scepsy.report.charts.load_curves import NEAR
from scepsy.sim.results.records import SimulationResult, WorkflowResult

WIDTH, HEIGHT = 480, 330
LEFT, TOP, RIGHT, BOTTOM = 60, 48, 24, 48


def distribution(flow: WorkflowResult) -> Chart:
    """Which part of the runs took at most how long."""
    latencies = flow.latency.percentiles
    x = fit(latencies, LEFT, WIDTH - RIGHT, label=seconds)
    y = fit([100.0], HEIGHT - BOTTOM, TOP, linear=True)
    marks = [(50, flow.latency.p50, "p50"), (90, flow.latency.p90, "p90")]
    if flow.latency.p99 is not None:
        marks.append((99, flow.latency.p99, "p99"))
    points = [(latency, float(percent)) for percent, latency in enumerate(latencies)]
    return Chart(
        title=flow.workflow,
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label="latency of a run" + (", logarithmic" if x.log else ""),
        y_label="runs that took at most this long (%)",
        lines=(Line(path(points, x, y), "predicted plan", "part of the runs"),),
        marks=tuple(
            ChartMark(x.at(value), y.at(at), "dot", "plan", f"{name} {wording.seconds(value)}")
            for at, value, name in marks
        ),
        labels=tuple(
            _beside(x.at(value), y.at(at), f"{name} {wording.seconds(value)}", x)
            for at, value, name in marks
        ),
    )


def _beside(at: float, y: float, text: str, x: Axis) -> Label:
    """A label below and beside a point, on the side that has room."""
    late = at > (x.start + x.end) / 2
    return Label(
        at + (-9 if late else 9), y + (-8 if late else 18), text, "", "end" if late else "start"
    )


def load_curve(flow: WorkflowResult, found: SimulationResult, headroom: float) -> Chart:
    """Mean and p99 latency against throughput, with the 90% interval of the throughput; rings are
    loads that are not sustained. `headroom` is the factor on the load at which the plan is
    predicted to saturate.
    """
    points = [
        (one, other.scale)
        for other in found.curve
        for one in other.workflows
        if one.workflow == flow.workflow
    ]
    saturation = flow.offered_rate * headroom
    near = [saturation] if headroom <= NEAR else []
    rates = [*near, *(one.throughput for one, _ in points)]
    x = fit(rates, LEFT, WIDTH - RIGHT, linear=True)
    y = fit(
        [value for one, _ in points for value in (one.latency.mean, one.latency.p99 or 0.0)],
        HEIGHT - BOTTOM,
        TOP,
        label=seconds,
    )
    at = x.at(flow.throughput)
    tails = [(one.throughput, one.latency.p99) for one, _ in points if one.latency.p99 is not None]
    text = f"predicted to saturate at {wording.factor(headroom)}"
    beyond = not isfinite(saturation) or saturation > x.high
    wall = (
        () if beyond else (Line(f"M{x.at(saturation):g},{y.start:g}V{y.end:g}", "wall plan", text),)
    )
    return Chart(
        title=flow.workflow,
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label="throughput (runs/s), all workflows growing alike",
        y_label="latency of a run" + (", logarithmic" if y.log else ""),
        lines=(
            Line(f"M{at:g},{y.start:g}V{y.end:g}", "target", "the load asked about"),
            *wall,
            Line(path(tails, x, y), "predicted even", "p99"),
            Line(
                path([(one.throughput, one.latency.mean) for one, _ in points], x, y),
                "predicted plan",
                "mean",
            ),
            *(
                Line(
                    f"M{x.at(one.throughput_low):g},{y.at(one.latency.mean):g}"
                    f"H{x.at(one.throughput_high):g}",
                    "bar plan",
                    "throughput, 90% interval",
                )
                for one, _ in points
                if one.throughput_high > 0
            ),
        ),
        marks=tuple(
            ChartMark(
                x.at(one.throughput),
                y.at(one.latency.mean),
                "ring" if one.verdict == "not sustained" else "dot",
                "plan",
                f"{scale:g} times the load: {wording.rate(one.throughput)} of "
                f"{wording.rate(one.offered_rate)}, mean {wording.seconds(one.latency.mean)}, "
                + ("" if one.latency.p99 is None else f"p99 {wording.seconds(one.latency.p99)}"),
            )
            for one, scale in points
        ),
        labels=(Label(x.end, TOP - 12, text + ", beyond this chart" * beyond, "target", "end"),),
    )
