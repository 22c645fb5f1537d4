"""Rows of bars along a time axis: the calls of a run, the utilisation of GPUs (in pixels)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scepsy.report import wording
from scepsy.report.charts.axes import Axis, fit
from scepsy.report.charts.axes import seconds as tick_label
from scepsy.sim.results.records import GpuResult, SlowRun

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 1100, 150, 14, 4, 30
BAR, GAP = 12, 4
MOST_ROWS = 64
"""Rows of one picture. More rows would make it taller than a screen."""


@dataclass(frozen=True, slots=True)
class SpanBar:
    """A rectangle; `opacity` shows how full it is."""

    x: float
    y: float
    width: float
    css: str
    title: str
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class SpanRow:
    label: str
    y: float


@dataclass(frozen=True, slots=True)
class Spans:
    """`left_out` says what is not shown, and is empty where all is."""

    title: str
    width: int
    height: int
    bar: int
    x: Axis
    x_label: str
    rows: tuple[SpanRow, ...]
    bars: tuple[SpanBar, ...]
    left_out: str = ""


def waterfall(run: SlowRun, colours: Mapping[str, str]) -> Spans:
    """A row per call: pale until its first token, then solid."""
    shown = run.calls[:MOST_ROWS]
    x = _axis(run.latency)
    bars: list[SpanBar] = []
    for index, call in enumerate(shown):
        css = colours.get(call.llm, "")
        title = (
            f"{call.llm} on {call.replica}: from {wording.seconds(call.start)}, first token after "
            f"{wording.seconds(call.first_token - call.start)}, all after "
            f"{wording.seconds(call.end - call.start)}"
        )
        bars += (
            _bar(x, call.start, call.first_token, index, css, title, 0.4),
            _bar(x, call.first_token, call.end, index, css, title),
        )
    hidden = len(run.calls) - len(shown)
    return _spans(
        f"{wording.seconds(run.latency)}, {wording.count(len(run.calls), 'call')}",
        x,
        "time since the run arrived",
        [call.replica for call in shown],
        bars,
        f"and {wording.count(hidden, 'call')} more" if hidden else "",
    )


def utilisation(gpus: Sequence[GpuResult], seconds: float) -> Spans:
    """A row per GPU, darker where more of its compute was busy."""
    shown = gpus[:MOST_ROWS]
    x = _axis(seconds)
    bars = [
        _bar(
            x,
            index * seconds / len(gpu.over_time),
            (index + 1) * seconds / len(gpu.over_time),
            row,
            "busy",
            f"{gpu.node}/{gpu.gpu}: {wording.percent(part)}",
            part,
        )
        for row, gpu in enumerate(shown)
        for index, part in enumerate(gpu.over_time)
    ]
    labels = [f"{gpu.node}/{gpu.gpu}  {wording.percent(gpu.utilisation)}" for gpu in shown]
    hidden = len(gpus) - len(shown)
    return _spans(
        "utilisation",
        x,
        "time in the measured window",
        labels,
        bars,
        f"and {wording.count(hidden, 'GPU')} more" if hidden else "",
    )


def _axis(seconds: float) -> Axis:
    return fit([seconds], LEFT, WIDTH - RIGHT, linear=True, label=tick_label)


def _bar(
    x: Axis, start: float, end: float, row: int, css: str, title: str, opacity: float = 1.0
) -> SpanBar:
    left = x.at(start)
    width = round(max(0.6, x.at(end) - left), 1)
    return SpanBar(left, _top(row), width, css, title, round(opacity, 3))


def _top(row: int) -> int:
    return TOP + row * (BAR + GAP)


def _spans(
    title: str, x: Axis, x_label: str, labels: Sequence[str], bars: Sequence[SpanBar], left_out: str
) -> Spans:
    return Spans(
        title=title,
        width=WIDTH,
        height=_top(len(labels)) + BOTTOM,
        bar=BAR,
        x=x,
        x_label=x_label,
        rows=tuple(SpanRow(label, _top(index) + BAR - 2) for index, label in enumerate(labels)),
        bars=tuple(bars),
        left_out=left_out,
    )
