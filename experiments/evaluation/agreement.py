"""Rows of E2 -> tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from . import model_error
from .intervals import EXPLAINED, WANTED, Compared, table

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
        f"{HEAD}\n## Mean absolute error\n\n{_summary(rows)}"
        f"\n## Intervals of the mean by replay\n\n{_intervals(rows)}"
        f"\n## Error of the predictor\n\n{model_error.report(rows)}"
        f"\n## Against the simulator, knowing the same runs\n\n{_against_sim(rows)}"
        f"\n## Point by point\n\n{_points(rows)}"
    )


def _intervals(rows: Rows) -> str:
    found = [
        (
            row,
            Compared(row["predicted"], row["low"], row["high"], row["observed"], error),
        )
        for row in rows
        if row["sustained"]
        and row.get("low") is not None
        and (error := row.get("observed_error")) is not None
    ]
    if not found:
        return "These rows were made before intervals were kept.\n"
    kinds = {"programs, simulated": "GPUs", "demo, emulated engines": "demo"}
    groups = [
        ([name, f"{load:.0%}"], [one for row, one in found if of(row) and row["load"] == load])
        for name, mark in kinds.items()
        for of in [lambda row, mark=mark: mark in row["case"]]
        for load in sorted({row["load"] for row, _ in found if of(row)})
    ]
    groups += [
        ([name, "all"], [one for row, one in found if mark in row["case"]])
        for name, mark in kinds.items()
    ]
    return f"{EXPLAINED}\n{table(groups, ('observed', 'load'))}\n{WANTED}\n"


def _against_sim(rows: Rows) -> str:
    """What the others predict, relative to the simulator, by load: no error of what was traced is
    in it.
    """
    said = {
        (*_key(row), row["statistic"], row["predictor"]): row["predicted"]
        for row in rows
        if "GPUs" in row["case"]
    }
    lines = ["| load | points | pipeline, mean | replay, mean | replay, p99 |", "|---" * 5 + "|"]
    for load in sorted({key[3] for key in said}):
        sims = {key[:5]: sim for key, sim in said.items() if key[3] == load and key[5] == "sim"}

        def apart(predictor: str, statistic: str, sims: dict[Any, float] = sims) -> str:
            return _mean(
                [
                    said[*key, predictor] / sim - 1
                    for key, sim in sims.items()
                    if key[4] == statistic and (*key, predictor) in said
                ]
            )

        points = sum(key[4] == "mean" for key in sims)
        cells = apart("pipeline", "mean"), apart("replay", "mean"), apart("replay", "p99")
        lines.append(f"| {load:.0%} | {points} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


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
