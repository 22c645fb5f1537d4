"""A picture of ratios: a panel per group, a row per name, a dot with its interval per series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path

from scepsy.report.charts.axes import Axis, Tick

Dots = Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]]
"""By panel, row and series: a ratio, and half of the width of its interval."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
WIDTH, LEFT, RIGHT, ROW, HEAD = 900, 340, 40, 24, 56
TICKS = (0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 1.7, 2, 2.5, 3, 4, 5, 7, 10, 20, 50, 100)
APART = 34
"""Pixels between ticks."""
STYLE = (
    "text{font:12px sans-serif;fill:#333}.title{font-weight:bold;font-size:13px}"
    ".grid{stroke:#e4e4e4}.one{stroke:#888}.tick{fill:#666;font-size:11px;text-anchor:middle}"
    ".row{text-anchor:end}.value{fill:#666;font-size:11px}"
)


def dots(title: str, panels: Dots, to: Path) -> None:
    """On one logarithmic axis; the line at 1 stands out."""
    values = [one for rows in panels.values() for of in rows.values() for one in of.values()]
    axis = _axis(values)
    series = list(
        dict.fromkeys(name for rows in panels.values() for of in rows.values() for name in of)
    )
    colours = dict(zip(series, COLOURS, strict=False))
    height = HEAD + sum(ROW * (len(rows) + 2) for rows in panels.values()) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}"><style>{STYLE}</style>'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="12" y="20" class="title">{escape(title)}</text>'
    ]
    x = 12
    for name in series:
        parts.append(
            f'<circle cx="{x + 5}" cy="38" r="4" fill="{colours[name]}"/>'
            f'<text x="{x + 15}" y="42">{escape(name)}</text>'
        )
        x += 40 + 7 * len(name)
    y = HEAD
    for panel, rows in panels.items():
        parts.append(_panel(panel, rows, axis, colours, y))
        y += ROW * (len(rows) + 2)
    to.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _panel(
    title: str,
    rows: Mapping[str, Mapping[str, tuple[float, float]]],
    axis: Axis,
    colours: Mapping[str, str],
    top: int,
) -> str:
    begin, end = top + ROW, top + ROW * (len(rows) + 1)
    parts = [f'<text x="{LEFT - 8}" y="{top + 14}" class="row title">{escape(title)}</text>']
    for tick in axis.ticks:
        css = "one" if tick.label == "1" else "grid"
        parts.append(
            f'<path class="{css}" d="M{tick.at},{begin - 2}V{end}"/>'
            f'<text class="tick" x="{tick.at}" y="{end + 13}">{tick.label}</text>'
        )
    for place, (name, of) in enumerate(rows.items()):
        y = begin + ROW * place + ROW // 2
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" class="row">{escape(name)}</text>')
        for nth, (series, (value, within)) in enumerate(of.items()):
            at = y + 6 * nth - 3 * (len(of) - 1)
            low, high = axis.at(max(axis.low, value - within)), axis.at(value + within)
            colour = colours[series]
            parts.append(
                f'<path d="M{low},{at}H{high}" stroke="{colour}" stroke-width="2" opacity=".5"/>'
                f'<circle cx="{axis.at(value)}" cy="{at}" r="3.5" fill="{colour}">'
                f"<title>{escape(name)}, {escape(series)}: {value:.3g}</title></circle>"
            )
    return "".join(parts)


def _axis(values: Iterable[tuple[float, float]]) -> Axis:
    known = list(values)
    low = min([0.95, *(max(value - within, value / 2) for value, within in known)]) / 1.02
    high = max([1.5, *(value + min(within, value) for value, within in known)]) * 1.02
    bare = Axis(low, high, LEFT, WIDTH - RIGHT, log=True)
    ticks = [Tick(bare.at(1.0), "1")]
    for value in sorted(TICKS, key=lambda one: (one not in (2, 5, 10, 20, 50, 100), one)):
        at = bare.at(value)
        if low <= value <= high and all(abs(at - tick.at) >= APART for tick in ticks):
            ticks.append(Tick(at, f"{value:g}"))
    return Axis(low, high, LEFT, WIDTH - RIGHT, True, tuple(ticks))
