"""Charts of an outage: what was answered where, and how long runs took, over time."""

from __future__ import annotations

from collections import Counter

from scepsy.report import wording
from scepsy.report.charts.axes import Axis, fit, seconds
from scepsy.report.charts.chart import Chart, ChartMark, Label, Line, path
from scepsy.report.outage_data import Outage

WIDTH, HEIGHT = 620, 300
LEFT, TOP, RIGHT, BOTTOM = 60, 48, 24, 48
_BIN = 2.0
"""Seconds over which calls are counted."""


def throughput(outage: Outage) -> Chart:
    """Calls that were answered per second: by the node that was lost, and by all others."""
    lost = _rates(outage, of_lost_node=True)
    others = _rates(outage, of_lost_node=False)
    x = _time(outage)
    y = fit([rate for _, rate in (*lost, *others)], HEIGHT - BOTTOM, TOP, linear=True)
    return Chart(
        title="Calls answered",
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label="seconds",
        y_label="calls answered per second",
        lines=(
            *_events(outage, x, y),
            Line(path(others, x, y), "predicted plan", "by the other nodes"),
            Line(path(lost, x, y), "predicted even", f"by {outage.node}"),
        ),
        labels=_names(outage, x),
    )


def latency(outage: Outage, workflow: str) -> Chart:
    """How long the runs of a workflow took, by the time at which they began."""
    runs = [run for run in outage.runs if run.workflow == workflow]
    x = _time(outage)
    y = fit([run.latency for run in runs], HEIGHT - BOTTOM, TOP, linear=True, label=seconds)
    return Chart(
        title=workflow,
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label="seconds at which the run began",
        y_label="latency of the run",
        lines=_events(outage, x, y),
        marks=tuple(
            ChartMark(
                x.at(run.start),
                y.at(run.latency),
                "dot" if run.error is None else "square",
                "plan" if run.error is None else "even",
                f"{wording.seconds(run.latency)}" + ("" if run.error is None else ", failed"),
            )
            for run in runs
        ),
        labels=_names(outage, x),
    )


def _time(outage: Outage) -> Axis:
    return fit([outage.seconds], LEFT, WIDTH - RIGHT, linear=True)


def _rates(outage: Outage, *, of_lost_node: bool) -> list[tuple[float, float]]:
    counted = Counter(
        int(call.end // _BIN)
        for call in outage.calls
        if call.error is None and (call.node == outage.node) == of_lost_node
    )
    bins = int(outage.seconds // _BIN)
    return [((index + 0.5) * _BIN, counted[index] / _BIN) for index in range(bins)]


def _events(outage: Outage, x: Axis, y: Axis) -> tuple[Line, ...]:
    lost = Line(_vertical(outage.lost_at, x, y), "target", f"{outage.node} loses its power")
    if outage.served_at is None:
        return (lost,)
    again = Line(_vertical(outage.served_at, x, y), "wall plan", "every replica serves again")
    return lost, again


def _vertical(at: float, x: Axis, y: Axis) -> str:
    return f"M{x.at(at):g},{y.start:g}V{y.end:g}"


def _names(outage: Outage, x: Axis) -> tuple[Label, ...]:
    return (Label(x.at(outage.lost_at), TOP - 12, f"{outage.node} lost", "target", "middle"),)
