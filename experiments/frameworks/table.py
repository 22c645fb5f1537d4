"""Rows as frameworks.json in docs/guides, and as tables of frameworks.md between their marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from truth import Row

SURE = {"one": "L0", "serve": "L1", "tasks+": "L2", "threads+": "L2"}
"""Modes in which every call must be with its run, and nothing may be inexact."""

LAYERS = {**SURE, "tasks auto": "L1, no server", "threads auto": "L1, no server"}


def sentence(row: Row) -> str:
    said = f"{row.attributed} of {row.calls} calls with a run, {row.misattributed} with a wrong one"
    layers = ", ".join(f"{count} {layer}" for layer, count in row.layers.items())
    return f"{said}; {row.runs} runs of {row.concurrent_runs}; {layers}"


def wrong(rows: Sequence[Row]) -> str:
    """Which rows break what is promised of them."""
    return "; ".join(
        f"{row.framework} {row.mode}: {sentence(row)}"
        for row in rows
        if (row.misattributed and row.mode in LAYERS)
        or (row.mode in SURE and not (row.n_exact and row.p_exact and row.attributed == row.calls))
    )


def write(rows: Sequence[Row], folder: Path, *, real: bool) -> None:
    """frameworks.json (frameworks-real.json), and where there is a page, its tables."""
    name = "frameworks-real" if real else "frameworks"
    encoded = msgspec.json.format(msgspec.json.encode(rows), indent=1)
    (folder / f"{name}.json").write_bytes(encoded + b"\n")
    page = folder / "frameworks.md"
    if not page.is_file():
        return
    text = between(page.read_text(), "real" if real else "measured", sure_lines(rows))
    page.write_text(text if real else between(text, "nothing", bare_lines(rows)))


def between(text: str, mark: str, lines: Sequence[str]) -> str:
    """The text with what stands between two marks replaced."""
    head, _, rest = text.partition(f"<!-- {mark} -->\n")
    _, _, tail = rest.partition(f"<!-- /{mark} -->")
    return head + f"<!-- {mark} -->\n" + "\n".join(lines) + f"\n<!-- /{mark} -->" + tail


def sure_lines(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| framework | | how | layer | runs at once | calls | with their run | wrong | n, p |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {row.framework} | {row.version} | {LAYERS[row.mode]}: `{row.mode}` | {row.layer} | "
        f"{row.concurrent_runs} | {row.calls} | {row.attributed - row.misattributed} | "
        f"{row.misattributed} | {exactness(row)} |"
        for row in rows
        if row.mode in LAYERS
    ]


def exactness(row: Row) -> str:
    if row.n_exact and row.p_exact:
        return "exact"
    if row.runs != row.concurrent_runs:
        return f"no: {row.runs} runs seen"
    return "n exact" if row.n_exact else "no"


def bare_lines(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| framework | how | calls | with their run | with a wrong one | left out | by |",
        "|---|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {row.framework} | `{row.mode}` | {row.calls} | {row.attributed - row.misattributed} | "
        f"{row.misattributed} | {row.calls - row.attributed} | "
        f"{', '.join(f'{layer} {count}' for layer, count in row.layers.items())} |"
        for row in rows
        if row.mode not in LAYERS
    ]
