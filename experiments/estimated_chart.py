"""Small multiples of estimated and measured serving points, as one SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from scepsy.report.charts.axes import fit
from scepsy.report.charts.chart import path

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 400, 290, 52, 34, 16, 44
COLOURS = {"TP1": "#0072b2", "TP2": "#e69f00", "TP4": "#009e73", "TP8": "#cc79a7"}


@dataclass(frozen=True)
class Panel:
    """Points are (calls per second, seconds of a call). Lines are named "provider TPn", marks
    "TPn"; `engine` is the one that the marks were measured on.
    """

    title: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    marks: Mapping[str, Sequence[tuple[float, float]]]
    engine: str


def chart(panels: Sequence[Panel], columns: int = 3) -> str:
    """Lines are estimates (dashed: the oracle's), dots were measured."""
    rows = -(-len(panels) // columns)
    drawn = "".join(
        f'<g transform="translate({place % columns * WIDTH},{place // columns * HEIGHT})">'
        f"{_panel(panel)}</g>"
        for place, panel in enumerate(panels)
    )
    style = (
        "text{font:11px sans-serif;fill:#333}.t{font-size:13px;font-weight:600}"
        "path{fill:none;stroke-width:1.6}.oracle{stroke-dasharray:4 3;opacity:.7}"
        ".grid{stroke:#ddd;stroke-width:1}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * WIDTH} {rows * HEIGHT}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>{drawn}</svg>\n'
    )


def _panel(panel: Panel) -> str:
    points = [p for part in (panel.lines, panel.marks) for line in part.values() for p in line]
    x = fit([rate for rate, _ in points], LEFT, WIDTH - RIGHT)
    y = fit([seconds for _, seconds in points], HEIGHT - BOTTOM, TOP)
    parts = [f'<text class="t" x="{LEFT}" y="20">{escape(panel.title)}</text>']
    for tick in x.ticks:
        parts.append(f'<path class="grid" d="M{tick.at:g},{TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(_text(tick.at, HEIGHT - 28, "middle", tick.label))
    for tick in y.ticks:
        parts.append(f'<path class="grid" d="M{LEFT},{tick.at:g}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 5, tick.at + 4, "end", tick.label))
    for name, line in panel.lines.items():
        provider, tp = name.split(" ")
        css = "" if provider == "roofline" else ' class="oracle"'
        parts.append(f'<path{css} stroke="{COLOURS[tp]}" d="{path(line, x, y)}"/>')
    for tp, marks in panel.marks.items():
        parts += [
            f'<circle cx="{x.at(rate):g}" cy="{y.at(seconds):g}" r="3.6" fill="{COLOURS[tp]}"/>'
            for rate, seconds in marks
        ]
    legend = " ".join(f'<tspan fill="{colour}">{tp}</tspan>' for tp, colour in COLOURS.items())
    shown = f"dots: measured, {panel.engine}" if panel.engine else "no measured points"
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 10}">calls/s · {legend} · {shown}</text>')
    parts.append(f'<text x="4" y="{TOP - 2}">s/call</text>')
    return "".join(parts)


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{text}</text>'
