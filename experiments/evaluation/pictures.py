"""Rows of E1 -> one picture per case and cluster, drawn by the report's template."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from evaluation.agreement import PREDICTORS
from evaluation.tables import OURS
from scepsy.report.charts.axes import fit
from scepsy.report.charts.chart import Chart, ChartMark, Label, Line, apart, path
from scepsy.report.html import environment

WIDTH, HEIGHT = 640, 360
LEFT, TOP, RIGHT, BOTTOM = 58, 26, 170, 48
COLOURS = (
    *("#000", "#d55e00", "#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#e69f00", "#8a7a00"),
    *("#999", "#7f3c8d", "#5b3a1a"),
)
STYLE = """svg{background:#fff;font:12px sans-serif}.grid{stroke:#ddd}.axis{stroke:#666}
.line{fill:none;stroke-width:1.6}.name{fill:#333}.tick{fill:#555}""" + "".join(
    f".s{i}{{stroke:{c};fill:{c}}}.line.s{i}{{fill:none}}.label.s{i}{{stroke:none}}"
    for i, c in enumerate(COLOURS)
)


def draw(rows: list[dict[str, Any]], out: Path) -> None:
    """`e1-CASE-GPUTYPE-GPUS-WORKFLOW.svg`: throughput against mean latency, a line per system."""
    rows = [row for row in rows if not row["system"].startswith(f"{OURS} + ")]

    def key(row: dict[str, Any]) -> tuple[str, str, int, str]:
        return row["case"], row["gpu_type"], row["gpus"], row["workflow"]

    for (case, gpu_type, gpus, workflow), own in groupby(sorted(rows, key=key), key=key):
        title = f"{case}: {workflow} on {gpus} {gpu_type.upper()}"
        written(_chart(title, list(own)), out / f"e1-{case}-{gpu_type}-{gpus}-{workflow}.svg")


def written(chart: Chart, to: Path) -> None:
    """As a picture that stands alone."""
    template = environment().from_string("{% from 'charts.html' import chart %}{{ chart(c) }}")
    svg = template.render(c=chart)
    svg = svg.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" ', 1)
    svg = svg.replace(">", f"><style>{STYLE}</style>", 1)
    to.write_text(svg.strip() + "\n")


def _chart(title: str, rows: list[dict[str, Any]]) -> Chart:
    seen = [row for row in rows if row["latency_mean"] is not None]
    x = fit([row["throughput"] for row in seen], LEFT, WIDTH - RIGHT, linear=True)
    y = fit([row["latency_mean"] for row in seen], HEIGHT - BOTTOM, TOP)
    lines: list[Line] = []
    marks: list[ChartMark] = []
    labels: list[Label] = []
    for index, system in enumerate(dict.fromkeys(row["system"] for row in seen)):
        css = f"s{index % len(COLOURS)}"
        points = [
            (row["throughput"], row["latency_mean"]) for row in seen if row["system"] == system
        ]
        lines.append(Line(path(points, x, y), css, system))
        marks += [
            ChartMark(x.at(a), y.at(b), "ring", css, f"{system}: {b:.3g} s") for a, b in points
        ]
        labels.append(Label(WIDTH - RIGHT + 10, y.at(points[-1][1]) + 4, system, css))
    return Chart(
        title=title,
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label=f"{title}: runs/s",
        y_label="mean latency (s)" + (", logarithmic" if y.log else ""),
        lines=tuple(lines),
        marks=tuple(marks),
        labels=apart(labels, 14, 100),
    )


def bars(title: str, values: Mapping[str, float], path: Path) -> None:
    """One horizontal bar per value, on a logarithmic axis from 1 on."""
    row, left, width = 16, 330, 760
    height = 40 + row * len(values)
    most = max([2.0, *values.values()])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><style>{STYLE}</style>',
        f'<text x="8" y="18" class="name" font-weight="bold">{escape(title)}</text>',
    ]
    for index, (name, value) in enumerate(values.items()):
        y = 36 + row * index
        long = (width - left - 60) * math.log(max(1.0, value)) / math.log(most)
        own = 0 if name.endswith(", Scepsy") else 3
        at = f'x="{left - 6}" y="{y + 10}" text-anchor="end"'
        parts.append(
            f'<text {at} class="name">{escape(name)}</text>'
            f'<rect x="{left}" y="{y}" width="{long + 1:.1f}" height="11" class="s{own}"/>'
            f'<text x="{left + long + 6:.1f}" y="{y + 10}" class="tick">{value:.3g}</text>'
        )
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def agreement(rows: Sequence[dict[str, Any]], to: Path) -> None:
    """Predicted against observed means, a colour per predictor, and the line where they agree."""
    means = [row for row in rows if row["statistic"] == "mean" and row["sustained"]]
    values = [row[name] for row in means for name in ("predicted", "observed")]
    x = fit(values, 58, WIDTH - 170)
    y = fit(values, HEIGHT - 48, 26)
    agreed = Line(path([(x.low, x.low), (x.high, x.high)], x, y), "s8", "predicted as observed")
    marks = tuple(
        ChartMark(
            x.at(row["observed"]),
            y.at(row["predicted"]),
            "ring",
            f"s{PREDICTORS.index(row['predictor']) + 1}",
            f"{row['case']}, {row['workflow']}, {row['predictor']}: {row['error']:+.1%}",
        )
        for row in means
    )
    labels = tuple(
        Label(WIDTH - 158, 40 + 16 * place, name, f"s{place + 1}")
        for place, name in enumerate(PREDICTORS)
    )
    chart = Chart(
        title="E2: mean latency of runs, predicted against observed",
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label="observed (s)",
        y_label="predicted (s)",
        lines=(agreed,),
        marks=marks,
        labels=labels,
    )
    written(chart, to)
