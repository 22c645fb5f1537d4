"""The errors as tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.silicon.errors import Row

GOALS = {"untuned": 0.15, "shipped": 0.15, "engine": 0.15, "half": 0.10, "others": 0.10}


def tables(rows: Sequence[Row]) -> str:
    """One per source of step times, and how many groups meet the goals."""
    parts: list[str] = []
    for source in dict.fromkeys(row["steps"] for row in rows):
        mine = [row for row in rows if row["steps"] == source]
        parts += [f"**Steps of the {source}.** {_summary(mine)}", "", *_table(mine), ""]
    return "\n".join(parts)


def _summary(rows: Sequence[Row]) -> str:
    said: list[str] = []
    for how, goal in GOALS.items():
        kept = [row for row in rows if not row["excluded"] and how in row]
        points = sum(row["points"] for row in kept)
        mean = sum(row["points"] * row[how]["whole"] for row in kept) / max(points, 1)
        met = sum(row[how]["whole"] <= goal for row in kept)
        said.append(f"{how} {mean:.1%} ({met} of {len(kept)} groups within {goal:.0%})")
    return "Whole latency, weighted by points: " + "; ".join(said) + "."


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| LLM, GPU, engine | points | untuned: whole | TTFT | TPOT | shipped "
        "| engine: whole | TTFT | half: whole | TTFT | TPOT | others | fitted to all |",
        "|-" * 13 + "|",
    ]
    for row in rows:
        name = f"{row['llm']}, {row['gpu'].upper()}, {row['backend']}"
        if row["excluded"]:
            name += f" ({row['excluded']})"
        points = str(row["points"])
        if row["points"] < row["of"]:
            points += f" of {row['of']}"
        cells = [
            name,
            points,
            *(_error(row, "untuned", what) for what in ("whole", "ttft", "tpot")),
        ]
        cells += [_error(row, "shipped", "whole")]
        cells += [_error(row, "engine", what) for what in ("whole", "ttft")]
        cells += [_error(row, "half", what) for what in ("whole", "ttft", "tpot")]
        cells += [_error(row, "others", "whole")]
        adds = row.get("adds")
        cells.append(
            f"x{adds['scale']:.2f}, {adds['host_ms']:.1f} ms, {adds['token_us']:.0f} us, "
            f"{adds['request_ms']:.0f} ms"
            if adds
            else "-"
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _error(row: Row, how: str, what: str) -> str:
    if how not in row:
        return "-"
    return f"{row[how][what]:.0%} ({row[how][f'{what}_bias'] * 100:+.0f})"
