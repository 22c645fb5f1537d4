"""Rows of E2 -> tables in Markdown, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from evaluation.pictures import HEIGHT, WIDTH, written
from scepsy.report.axes import fit
from scepsy.report.chart import Chart, Label, Line, Mark, path

Rows = Sequence[dict[str, Any]]
PREDICTORS = ("pipeline", "replay", "sim")
HEAD = """# E2: prediction error

    .venv/bin/python experiments/e2_prediction.py --demo DIR...

"First" and "last" are the first and the last plan of the shortlist for that rate, a part of the
highest for which we find a plan. What is observed is said in [README.md](README.md); "overloaded"
rows are left out of the means. Errors are relative to what was observed, in the summary absolute
and, in brackets, signed; p50, p90 and p99 are those of runs.
"""


def report(rows: Rows) -> str:
    """All tables."""
    return (
        f"{HEAD}\n## Mean absolute error\n\n{_summary(rows)}\n## Point by point\n\n{_points(rows)}"
    )


def _summary(rows: Rows) -> str:
    lines = ["| observed | statistic | points | pipeline | replay | sim |", "|---" * 6 + "|"]
    kinds = {"programs, simulated": "GPUs", "demo, emulated engines": "demo", "vLLM": "vLLM"}
    for name, mark in kinds.items():
        for statistic in ("mean", "p50", "p90", "p99"):
            own = [
                row
                for row in rows
                if mark in row["case"] and row["statistic"] == statistic and row["sustained"]
            ]
            by = {
                one: [row["error"] for row in own if row["predictor"] == one] for one in PREDICTORS
            }
            points = max(map(len, by.values()))
            if points:
                cells = [_mean(by[one]) for one in PREDICTORS]
                lines.append(f"| {name} | {statistic} | {points} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _mean(errors: Sequence[float]) -> str:
    """Absolute, and signed."""
    return f"{fmean(map(abs, errors)):.1%} ({fmean(errors):+.1%})" if errors else "-"


def _points(rows: Rows) -> str:
    lines = [
        "| case | workflow | plan | load | observed mean, s | pipeline | replay | sim | p99, s "
        "| replay | sim |",
        "|---" * 11 + "|",
    ]
    keys = list(dict.fromkeys(_key(row) for row in rows))
    for key in keys:
        own = [row for row in rows if _key(row) == key]
        found = {(row["predictor"], row["statistic"]): row["error"] for row in own}
        seen = {row["statistic"]: row["observed"] for row in own}
        cells = [key[0], key[1], key[2], f"{key[3]:.0%}"]
        cells.append(f"{seen['mean']:.3g}" + ("" if own[0]["sustained"] else " *overloaded*"))
        cells += [_cell(found.get((one, "mean"))) for one in PREDICTORS]
        cells.append(f"{seen['p99']:.3g}" if "p99" in seen else "-")
        cells += [_cell(found.get((one, "p99"))) for one in PREDICTORS[1:]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _key(row: dict[str, Any]) -> tuple[str, str, str, float]:
    return row["case"], row["workflow"], row["plan"], row["load"]


def _cell(error: float | None) -> str:
    return "-" if error is None else f"{error:+.1%}"


def draw(rows: Rows, to: Path) -> None:
    """Predicted against observed means, a colour per predictor, and the line where they agree."""
    means = [row for row in rows if row["statistic"] == "mean" and row["sustained"]]
    values = [row[name] for row in means for name in ("predicted", "observed")]
    x = fit(values, 58, WIDTH - 170)
    y = fit(values, HEIGHT - 48, 26)
    agreed = Line(path([(x.low, x.low), (x.high, x.high)], x, y), "s8", "predicted as observed")
    marks = tuple(
        Mark(
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
