"""What the experiment found, as files and as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from scepsy.store import write_atomic

DOCS = Path(__file__).resolve().parents[2] / "docs" / "evaluation"
MARK = "<!-- tables: python -m experiments.transfer.run --docs -->"

Row = dict[str, float]


def write(out: Path, found: Mapping[str, object], tables: str | None) -> None:
    """The results into `out`; with tables, those of the docs are replaced, too."""
    content = json.dumps(found, indent=2).encode() + b"\n"
    write_atomic(out / "transfer.json", content)
    if tables is not None:
        write_atomic(DOCS / "transfer.json", content)
        before, _, rest = (DOCS / "transfer.md").read_text().partition(MARK)
        text = f"{before}{MARK}\n\n{tables}\n{MARK}{rest.partition(MARK)[2]}"
        write_atomic(DOCS / "transfer.md", text.encode())


def table(rows: list[Row]) -> str:
    lines = [
        "| load | runs/s | predicted s | observed s | error | throughput error | runs |",
        "|-" * 7 + "|",
    ]
    lines += [
        f"| {row['load']:.0%} | {row['rate']:.2f} | {row['latency_predicted']:.2f} "
        f"| {row['latency_observed']:.2f} +- {row['standard_error']:.2f} "
        f"| {row['latency_error']:+.1%} | "
        f"{row['throughput_error']:+.1%} | {row['runs']:.0f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"
