"""Writes rows to docs/evaluation/frameworks.json, and as tables into frameworks.md there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from truth import Row

SURE = {"one": "L0", "serve": "L1", "tasks+": "L2", "threads+": "L2"}
"""Modes in which every call must be assigned to its run, and n and p must be exact."""

LAYERS = {**SURE, "tasks auto": "L1, no server", "threads auto": "L1, no server"}


def sentence(row: Row) -> str:
    said = f"{row.attributed} of {row.calls} calls with a run, {row.misattributed} with a wrong one"
    layers = ", ".join(f"{count} {layer}" for layer, count in row.layers.items())
    return f"{said}; {row.runs} runs of {row.concurrent_runs}; {layers}"


def wrong(rows: Sequence[Row]) -> str:
    """The rows that break the guarantees of their mode."""
    return "; ".join(
        f"{row.framework} {row.mode}: {sentence(row)}"
        for row in rows
        if (row.misattributed and row.mode in LAYERS)
        or (row.mode in SURE and not (row.n_exact and row.p_exact and row.attributed == row.calls))
    )


def write(rows: Sequence[Row], folder: Path, *, real: bool) -> None:
    """frameworks.json (frameworks-vllm.json), and the tables if there is a page."""
    name = "frameworks-vllm" if real else "frameworks"
    encoded = msgspec.json.format(msgspec.json.encode(rows), indent=1)
    (folder / f"{name}.json").write_bytes(encoded + b"\n")
    page = folder / "frameworks.md"
    if not page.is_file():
        return
    text = between(page.read_text(), "vllm" if real else "labelled", sure_lines(rows))
    page.write_text(text if real else between(text, "bare", bare_lines(rows)))


def between(text: str, mark: str, lines: Sequence[str]) -> str:
    """The text with the lines between two marks replaced."""
    head, _, rest = text.partition(f"<!-- {mark} -->\n")
    _, _, tail = rest.partition(f"<!-- /{mark} -->")
    return head + f"<!-- {mark} -->\n" + "\n".join(lines) + f"\n<!-- /{mark} -->" + tail


def sure_lines(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| framework | version | how | layer | runs | calls | right run | wrong run | n, p |",
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
        "| framework | how | calls | right run | wrong run | left out | calls by layer |",
        "|---|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| {row.framework} | `{row.mode}` | {row.calls} | {row.attributed - row.misattributed} | "
        f"{row.misattributed} | {row.calls - row.attributed} | "
        f"{', '.join(f'{layer} {count}' for layer, count in row.layers.items())} |"
        for row in rows
        if row.mode not in LAYERS
    ]
