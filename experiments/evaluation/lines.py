"""A picture of some lines, drawn by the report's template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluation.pictures import BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, STYLE, TOP, WIDTH
from scepsy.report.charts.axes import fit
from scepsy.report.charts.chart import Chart, ChartMark, Label, Line, apart
from scepsy.report.charts.chart import path as joined
from scepsy.report.html import environment


def lines(
    title: str,
    axes: tuple[str, str],
    points: Mapping[str, Sequence[tuple[float, float]]],
    path: Path,
) -> None:
    """Of positive values, by name; both axes logarithmic where they span widely."""
    known = {name: of for name, of in points.items() if of}
    x = fit([one[0] for of in known.values() for one in of], LEFT, WIDTH - RIGHT)
    y = fit([one[1] for of in known.values() for one in of], HEIGHT - BOTTOM, TOP)
    drawn: list[Line] = []
    marks: list[ChartMark] = []
    labels: list[Label] = []
    for index, (name, of) in enumerate(known.items()):
        css = f"s{index % len(COLOURS)}"
        drawn.append(Line(joined(of, x, y), css, name))
        marks += [ChartMark(x.at(a), y.at(b), "ring", css, f"{name}: {b:.3g}") for a, b in of]
        labels.append(Label(WIDTH - RIGHT + 10, y.at(of[-1][1]) + 4, name, css))
    chart = Chart(
        title=title,
        width=WIDTH,
        height=HEIGHT,
        x=x,
        y=y,
        x_label=f"{title}: {axes[0]}",
        y_label=axes[1] + (", logarithmic" if y.log else ""),
        lines=tuple(drawn),
        marks=tuple(marks),
        labels=apart(labels, 14, 100),
    )
    template = environment().from_string("{% from 'charts.html' import chart %}{{ chart(c) }}")
    svg = template.render(c=chart)
    svg = svg.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" ', 1)
    path.write_text(svg.replace(">", f"><style>{STYLE}</style>", 1).strip() + "\n")
