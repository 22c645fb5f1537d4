"""The main figure: throughput against mean latency on eight GPUs, ours and the main baselines."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from evaluation.tables import totals
from scepsy.report.charts.axes import Axis, fit
from scepsy.report.charts.chart import path

GPUS, GPU_TYPE = 8, "h100"
SYSTEMS = {
    "Scepsy": "#d55e00",
    "HPA": "#0072b2",
    "user-specified, best": "#009e73",
    "Ayo": "#cc79a7",
    "Aegaeon": "#8a7a00",
    "MuxServe, whole groups": "#56b4e9",
}
WIDTH, HEIGHT, HEAD, LEFT, BELOW = 420, 270, 46, 52, 44
STYLE = (
    "text{font:12px sans-serif;fill:#333}.title{font-weight:bold;font-size:13px}"
    ".grid{stroke:#e4e4e4}.axis{stroke:#666}.tick{fill:#666;font-size:11px}.y{text-anchor:end}"
    ".x{text-anchor:middle}"
)
Rows = Sequence[dict[str, Any]]


def overview(rows: Rows, to: Path) -> None:
    """A panel per case; nothing where there is no row of that cluster. Points whose load was not
    carried are crosses at the top.
    """
    here = [row for row in rows if row["gpus"] == GPUS and row["gpu_type"] == GPU_TYPE]
    cases = list(dict.fromkeys(row["case"] for row in here))
    if not cases:
        return
    wide, high = 2 * WIDTH, HEAD + HEIGHT * ((len(cases) + 1) // 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}"><style>{STYLE}</style>'
        f'<rect width="{wide}" height="{high}" fill="#fff"/>'
    ]
    for index, (name, colour) in enumerate(SYSTEMS.items()):
        x, y = 20 + 272 * (index % 3), 16 + 18 * (index // 3)
        parts.append(
            f'<path d="M{x},{y - 4}h22" stroke="{colour}" stroke-width="{_stroke(name)}"/>'
            f'<text x="{x + 28}" y="{y}">{escape(name)}</text>'
        )
    for index, case in enumerate(cases):
        at = f"translate({WIDTH * (index % 2)} {HEAD + HEIGHT * (index // 2)})"
        own = [row for row in here if row["case"] == case and row["system"] in SYSTEMS]
        parts.append(f'<g transform="{at}">{_panel(case, own)}</g>')
    to.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _panel(case: str, rows: Rows) -> str:
    latency = totals(rows)
    rates: dict[float, float] = {}
    for row in rows:
        if row["system"] == rows[0]["system"]:
            rates[row["part"]] = rates.get(row["part"], 0.0) + row["rate"]
    carried = [one for of in latency.values() for one in of.values() if one is not None]
    x = fit(rates.values(), LEFT, WIDTH - 16, linear=True)
    y = fit(carried, HEIGHT - BELOW, 34)
    flows = len({row["workflow"] for row in rows})
    what = "sum of mean latencies (s)" if flows > 1 else "mean latency (s)"
    parts = [_frame(f"{case.replace('_', ' ')}, {GPUS} x {GPU_TYPE.upper()}", x, y, what)]
    for system in reversed(SYSTEMS):
        points = [(rates[part], one) for part, one in latency.get(system, {}).items()]
        kept = [(rate, one) for rate, one in points if one is not None]
        colour = SYSTEMS[system]
        parts.append(
            f'<path d="{path(kept, x, y)}" fill="none" stroke="{colour}" '
            f'stroke-width="{_stroke(system)}"/>'
        )
        parts += [
            f'<circle cx="{x.at(rate)}" cy="{y.at(one)}" r="3.5" fill="{colour}">'
            f"<title>{escape(system)}: {one:.3g} s at {rate:.3g}/s</title></circle>"
            for rate, one in kept
        ]
        parts += [
            f'<path d="M{x.at(rate) - 4},30l8,8m0,-8l-8,8" stroke="{colour}" stroke-width="2"/>'
            for rate, one in points
            if one is None
        ]
    return "".join(parts)


def _frame(title: str, x: Axis, y: Axis, what: str) -> str:
    parts = [f'<text x="{LEFT}" y="22" class="title">{escape(title)}</text>']
    parts += [
        f'<path class="grid" d="M{x.start},{tick.at}H{x.end}"/>'
        f'<text class="tick y" x="{x.start - 6}" y="{tick.at + 4}">{tick.label}</text>'
        for tick in y.ticks
    ]
    parts += [
        f'<path class="axis" d="M{tick.at},{y.start}v4"/>'
        f'<text class="tick x" x="{tick.at}" y="{y.start + 16}">{tick.label}</text>'
        for tick in x.ticks
    ]
    parts.append(
        f'<path class="axis" d="M{x.start},{y.start}H{x.end}"/>'
        f'<text x="{(x.start + x.end) / 2}" y="{HEIGHT - 10}" text-anchor="middle">runs per second'
        f'</text><text transform="translate(13 {(y.start + y.end) / 2}) rotate(-90)" '
        f'text-anchor="middle">{what}</text>'
    )
    return "".join(parts)


def _stroke(system: str) -> float:
    return 3.0 if system == "Scepsy" else 1.6
