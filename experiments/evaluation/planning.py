"""Rows of E3 -> what they say, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

Rows = Sequence[dict[str, Any]]
OURS, CONFIRMED = "Scepsy", "Scepsy, with simulation"
FEW = 64
"""GPUs of a cluster that is not large."""
HEAD = """# E3: planning time

    .venv/bin/python experiments/e3_planning_time.py

CPU seconds of the second call for a problem, in one process. "Scepsy" is search and placement;
"with simulation" what `scepsy plan` does besides: the best few plans are replayed and simulated
with the traced runs. Others are our implementations of their policies; "(none)": found no plan.
"""


def report(rows: Rows, peers: Rows) -> str:
    """All tables; `peers` are what peers' own planners took."""
    return f"{HEAD}\n{_in_short(rows)}\n{_table(rows)}{_peers(peers)}"


def _in_short(rows: Rows) -> str:
    step = max(row["share_step"] for row in rows)
    mine = [row for row in rows if row["system"] == OURS]
    coarse = {(row["llms"], row["gpus"]): row for row in mine if row["share_step"] == step}
    few = [row["seconds"] for row in coarse.values() if row["gpus"] <= FEW]
    lines = [
        f"- Search and placement take {min(few):.2g} to {max(few):.2g} s on up to {FEW} GPUs"
        + _at_most(coarse.values())
    ]
    if fine := [row for row in mine if row["share_step"] != step]:
        by = [row["seconds"] / coarse[row["llms"], row["gpus"]]["seconds"] for row in fine]
        lines[0] += f"; at half the share step {median(by):.1f} times as long (median)"
    lines[0] += "."
    told = [
        f"{row['seconds']:.2g} s on {row['gpus']}" for row in rows if row["system"] == CONFIRMED
    ]
    if told:
        lines.append(f"- With simulation, five LLMs take {', '.join(told)} GPUs.")
    others = dict.fromkeys(row["system"] for row in rows if row["system"] not in (OURS, CONFIRMED))
    most = {
        name: max((row for row in rows if row["system"] == name), key=lambda row: row["seconds"])
        for name in others
    }
    slow = [
        f"{name} {row['seconds']:.2g} s ({row['llms']} LLMs, {row['gpus']} GPUs)"
        for name, row in most.items()
    ]
    return "\n".join([*lines, f"- The longest of others: {', '.join(slow)}."]) + "\n"


def _at_most(rows: Any) -> str:
    most = max(rows, key=lambda row: (row["gpus"], row["llms"]))
    if most["gpus"] <= FEW:
        return ""
    return f", {most['seconds']:.2g} s for {most['llms']} LLMs on {most['gpus']}"


def _table(rows: Rows) -> str:
    known = dict.fromkeys((row["system"], row["share_step"]) for row in rows)
    columns = sorted(known, key=lambda column: not column[0].startswith(OURS))
    heads = [f"{name}, share step {step:g}" if name == OURS else name for name, step in columns]
    lines = [f"| LLMs | GPUs | {' | '.join(heads)} |", "|---" * (2 + len(columns)) + "|"]
    for size in dict.fromkeys((row["llms"], row["gpus"]) for row in rows):
        of = {
            (row["system"], row["share_step"]): _seconds(row)
            for row in rows
            if (row["llms"], row["gpus"]) == size
        }
        cells = " | ".join(of.get(column, "-") for column in columns)
        lines.append(f"| {size[0]} | {size[1]} | {cells} |")
    return "\n".join(lines) + "\n"


def _seconds(row: dict[str, Any]) -> str:
    return f"{row['seconds']:.3g} s" + ("" if row["found"] else " (none)")


def _peers(rows: Rows) -> str:
    """Peers' own planners, ours, and our implementations of their policies on the same problems."""
    if not rows:
        return ""
    told = [
        "\n## Peers' own planners\n\nLLaMA 7B to 65B on A100 (`experiments/peer_planners/`).\n\n",
        "| LLMs | GPUs | planner | first call | second | allocation |\n|---|---|---|---|---|---|\n",
    ]
    for row in sorted(rows, key=lambda row: (row["llms"], row["gpus"])):
        first = "-" if row["first"] is None else f"{row['first']:.3g} s"
        cells = [row["llms"], row["gpus"], row["planner"], first, f"{row['seconds']:.3g} s"]
        told.append("| " + " | ".join(map(str, [*cells, row["allocation"]])) + " |\n")
    return "".join(told)
