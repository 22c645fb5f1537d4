"""Rows of E4 -> what they say, in Markdown, and the ratios of its picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Rows = Sequence[dict[str, Any]]
ALONE, TOGETHER = "alone", "together"
HEAD = """# E4: two workflows at once

    .venv/bin/python experiments/e4_fairness.py

Two workflows on one deployment, at 60% of the highest rate for which we find a plan; then one of
them at three times its rate. *Alone*: the same runs on the same deployment without the other
workflow. A *slowdown* is the mean latency over that, with its 95% interval; *p99.9* is a quantile
of the single runs' slowdowns (of a few hundred: nearly the worst); *wait* the longest that any call
waited for its first token. *Jain* is Jain's index of both slowdowns: 1 when both lose alike, 0.5
when one loses all. "Overloaded": latency grows. Systems of others are our implementations of their
policies. "First come" and "equal parts" are our plan with another order of the calls that wait than
the gateway's, which lets earlier runs go first.
"""


def report(rows: Rows) -> str:
    """All tables."""
    parts = [HEAD, "\n## In short\n\n", _in_short(rows)]
    for case, gpus in dict.fromkeys((row["case"], row["gpus"]) for row in rows):
        own = [row for row in rows if (row["case"], row["gpus"]) == (case, gpus)]
        parts += [f"\n## {case}, {gpus} x H100\n\n", _together(own), "\n", _overloaded(own)]
        parts += ["\n", *_placements(own)]
    return "".join(parts)


def panels(rows: Rows) -> dict[str, dict[str, dict[str, tuple[float, float]]]]:
    """By case and workflow, system and what the other workflow is offered: the slowdown."""
    found: dict[str, dict[str, dict[str, tuple[float, float]]]] = {}
    for row in rows:
        if row["load"] in (ALONE, row["workflow"]):
            continue
        panel = found.setdefault(f"{row['case']}, {row['gpus']} GPUs: {row['workflow']}", {})
        offered = "as planned" if row["load"] == TOGETHER else "at three times its rate"
        shown = row["slowdown"], row["within"]
        panel.setdefault(row["system"], {})[f"the other workflow {offered}"] = shown
    return found


def jain(values: Sequence[float]) -> float:
    """Jain's fairness index (Jain, Chiu, Hawe, 1984)."""
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def _in_short(rows: Rows) -> str:
    """The greater of two slowdowns that nobody is to blame for but the other workflow."""
    cases = list(dict.fromkeys((row["case"], row["gpus"]) for row in rows))
    heads = [
        f"{case}, {gpus} GPUs: as planned | the other at 3 x | p99.9 | wait" for case, gpus in cases
    ]
    lines = [f"| the greater of both | {' | '.join(heads)} |", "|---" * (4 * len(cases) + 1) + "|"]
    for system in dict.fromkeys(row["system"] for row in rows):
        cells: list[str] = []
        for case in cases:
            own = [row for row in rows if (row["case"], row["gpus"]) == case]
            own = [row for row in own if row["system"] == system and row["load"] != ALONE]
            planned = [row for row in own if row["load"] == TOGETHER]
            suffers = [row for row in own if row["load"] not in (TOGETHER, row["workflow"])]
            if not own:
                cells += ["-"] * 4
                continue
            cells += [
                f"{max(row['slowdown'] for row in planned):.2f}",
                f"{max(row['slowdown'] for row in suffers):.2f}",
                f"{max(row['slowdown_p999'] for row in suffers):.1f}",
                f"{max(row['wait'] for row in suffers):.3g} s",
            ]
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _together(rows: Rows) -> str:
    flows = list(dict.fromkeys(row["workflow"] for row in rows))
    columns = [f"{flow}: alone | together | slowdown | p99.9 | wait" for flow in flows]
    lines = [f"| both as planned | {' | '.join(columns)} | Jain |"]
    lines.append("|---" * (5 * len(flows) + 2) + "|")
    for system, at in _by_system(rows).items():
        cells: list[str] = []
        for flow in flows:
            row = at[TOGETHER, flow]
            alone = f"{at[ALONE, flow]['latency_mean']:.3g} s"
            cells += [alone, f"{row['latency_mean']:.3g} s", *_lost(row)]
        both = [at[TOGETHER, flow]["slowdown"] for flow in flows]
        lines.append(f"| {system} | {' | '.join(cells)} | {jain(both):.3f} |")
    return "\n".join(lines) + "\n"


def _overloaded(rows: Rows) -> str:
    flows = list(dict.fromkeys(row["workflow"] for row in rows))
    columns = [
        f"{greedy}: slowdown | {other}: slowdown | p99.9 | wait"
        for greedy in flows
        for other in flows
        if other != greedy
    ]
    lines = [f"| one is offered three times its rate | {' | '.join(columns)} |"]
    lines.append("|---" * (4 * len(columns) + 1) + "|")
    for system, at in _by_system(rows).items():
        cells: list[str] = []
        for greedy in flows:
            row = at[greedy, greedy]
            cells.append(f"{row['slowdown']:.2f}" + _grows(row))
            cells += [
                cell for other in flows if other != greedy for cell in _lost(at[greedy, other])
            ]
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _lost(row: dict[str, Any]) -> list[str]:
    slowdown = f"{row['slowdown']:.2f} ± {row['within']:.2f}{_grows(row)}"
    return [slowdown, f"{row['slowdown_p999']:.1f}", f"{row['wait']:.3g} s"]


def _grows(row: dict[str, Any]) -> str:
    return "" if row["carried"] else " *overloaded*"


def _by_system(rows: Rows) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    found: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["system"], {})[row["load"], row["workflow"]] = row
    return found


def _placements(rows: Rows) -> list[str]:
    names: dict[str, list[str]] = {}
    for row in rows:
        if row["system"] not in names.setdefault(row["placement"], []):
            names[row["placement"]].append(row["system"])
    return [f"- {'; '.join(systems)}: {placement}\n" for placement, systems in names.items()]
