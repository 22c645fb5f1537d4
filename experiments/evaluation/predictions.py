"""Rows of E1 -> how good our predictions were: bias, mean error, coverage of the intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scepsy.predict import NINETY_PERCENT

from .intervals import EXPLAINED, WANTED, Compared, table

Rows = Sequence[dict[str, Any]]


def predictions(rows: Rows) -> str:
    """Bias, error and coverage of our predicted means, by case and rate, and of all; then each."""
    found = [
        (row, Compared(of["mean"], of["low"], of["high"], row["latency_mean"], error))
        for row in rows
        if row["sustained"]
        and (of := row["predicted"])
        and of["low"] is not None
        and (error := row.get("standard_error")) is not None
    ]

    if not found:
        return "These rows were made before intervals were kept.\n"

    def group(*wanted: tuple[str, object]) -> list[Compared]:
        return [one for row, one in found if all(row[key] == value for key, value in wanted)]

    cases = list(dict.fromkeys((row["case"], row["workflow"]) for row, _ in found))
    rates = sorted({row["part"] for row, _ in found})
    groups = [
        (
            [case, workflow, f"{part:.0%}"],
            group(("case", case), ("workflow", workflow), ("part", part)),
        )
        for case, workflow in cases
        for part in rates
    ]
    groups += [(["all", "all", f"{part:.0%}"], group(("part", part))) for part in rates]
    groups.append((["all", "all", "all"], group()))
    series = len({row["sample"] for row, _ in found})
    return (
        f"{EXPLAINED}Loads that were not carried are left out. Planners knew {series} samples of "
        "traced runs, one for each kind and number of GPUs.\n\n"
        f"{table(groups, ('case', 'workflow', 'rate'))}\n{WANTED}\n\n{_each(found)}"
    )


def _each(found: Sequence[tuple[dict[str, Any], Compared]]) -> str:
    lines = [
        "| case | workflow | GPUs | rate | predicted, s | 90% interval | traced runs | curves "
        "| predictor | observed, s | error | held |",
        "|---" * 12 + "|",
    ]
    for row, one in found:
        of = row["predicted"]
        where = row["case"], row["workflow"], f"{row['gpus']} {row['gpu_type']}"
        parts = " | ".join(f"±{of[name]:.0%}" for name in ("runs", "curves", "model"))
        lines.append(
            f"| {' | '.join(where)} | {row['part']:.0%} | {one.predicted:.3g} "
            f"| {one.low:.3g} to {one.high:.3g} | {parts} "
            f"| {one.observed:.3g} ± {NINETY_PERCENT * one.observed_error:.2g} "
            f"| {one.error:+.0%} | {'yes' if one.held else 'no'} |"
        )
    return "\n".join(lines) + "\n"
