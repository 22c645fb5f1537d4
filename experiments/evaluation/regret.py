"""Rows of E6 -> what they say, in Markdown, and the ratios of its picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Rows = Sequence[dict[str, Any]]
NOTHING = "nothing"
COSTS = 0.03
"""Regret that counts, where its interval leaves zero out."""
SHOWN = 0.005
"""Regret that can be seen in a picture."""
HEAD = """# E6: what wrong beliefs and bursts cost

    .venv/bin/python experiments/e6_sensitivity.py

The pipeline makes a plan from inputs with errors, and the simulator measures it with the true ones.
Its *regret* is its mean latency divided by that of the plan from true inputs, less one,
with its 95% interval, under the same runs at the same times; with two workflows, of the sum of
their means. Rates are parts of the highest for which we find a plan on 8 H100; CV is that of the
gaps between arrivals. "Overloaded": latency grows, or is more than a quarter of the time measured.
"""


def report(rows: Rows) -> str:
    """All tables."""
    return (
        f"{HEAD}\n{_in_short(rows)}\n## Wrong beliefs that change the plan\n\n{_beliefs(rows)}"
        "\n## Bursts\n\nThe plan that knows everything but that arrivals are bursty, and how much "
        f"faster the best was of all plans that were tried.\n\n{_bursts(rows)}"
    )


def panels(rows: Rows) -> dict[str, dict[str, dict[str, tuple[float, float]]]]:
    """By case and rate, wrong beliefs and CV: latency over that of the plan that knew, where it
    differs.
    """
    found: dict[str, dict[str, dict[str, tuple[float, float]]]] = {}
    for case, part in dict.fromkeys((row["case"], row["part"]) for row in rows):
        own = [row for row in rows if (row["case"], row["part"]) == (case, part)]
        for wrong in _alike([row for row in own if _changed(row)]):
            of = [row for row in own if row["wrong"] == wrong[0] and row["regret"] is not None]
            if any(abs(row["regret"]) > SHOWN for row in of):
                panel = found.setdefault(f"{case} at {part:.0%}", {})
                panel[", ".join(wrong)] = {
                    f"CV {row['cv']:g}": (1 + row["regret"], row["within"]) for row in of
                }
    return found


def _in_short(rows: Rows) -> str:
    poisson = [row for row in rows if row["cv"] == 1 and row["wrong"] != NOTHING]
    same = [row for row in poisson if not _changed(row)]
    none = [row for row in poisson if row["latency_mean"] is None]
    known = [row for row in poisson if row["regret"] is not None]
    dear = [row for row in known if row["regret"] > max(COSTS, row["within"])]
    gains = [row for row in known if row["regret"] < -max(COSTS, row["within"])]
    worst = max(known, key=lambda row: row["regret"])
    told = f"{worst['case']} at {worst['part']:.0%}, {worst['wrong']}: {worst['regret']:+.0%}"
    return (
        f"- Of {len(poisson)} wrong beliefs, {len(same)} change nothing in the plan, {len(none)} "
        f"leave none, {len(dear)} cost more than {COSTS:.0%} beyond chance under Poisson arrivals "
        f"(most: {told}), and {len(gains)} gain as much.\n{_burst_in_short(rows)}"
    )


def _burst_in_short(rows: Rows) -> str:
    most = max(row["cv"] for row in rows)
    knowing = [row for row in rows if row["wrong"] == NOTHING]
    calm = {(row["case"], row["part"]): row for row in knowing if row["cv"] == 1}
    bursty = [row for row in knowing if row["cv"] == most and row["carried"]]
    if not bursty:
        return ""
    rises = [
        row["latency_mean"] / calm[row["case"], row["part"]]["latency_mean"] - 1 for row in bursty
    ]
    return (
        f"- Arrivals with a CV of {most:g} instead of 1 change its latency by {min(rises):+.0%} to "
        f"{max(rises):+.0%}; it is then up to {max(row['hindsight'] for row in bursty):.0%} slower "
        f"than the best of all plans tried ({len(bursty)} points that it carries of {len(calm)}).\n"
    )


def _changed(row: dict[str, Any]) -> bool:
    """Whether the plan is another one than that which knows, or the same differently placed."""
    return row["wrong"] != NOTHING and (row["placement"] != row["knowing"] or bool(row["regret"]))


def _beliefs(rows: Rows) -> str:
    cvs = list(dict.fromkeys(row["cv"] for row in rows))
    heads = " | ".join(f"CV {cv:g}" for cv in cvs)
    lines = [f"| case | rate | what is wrong | {heads} | plan |", "|---" * (4 + len(cvs)) + "|"]
    for case, part in dict.fromkeys((row["case"], row["part"]) for row in rows):
        own = [row for row in rows if (row["case"], row["part"]) == (case, part)]
        knowing = next(row for row in own if row["wrong"] == NOTHING)
        seconds = [row for row in own if row["wrong"] == NOTHING]
        cells = " | ".join(_seconds(row) for row in seconds)
        lines.append(f"| {case} | {part:.0%} | nothing | {cells} | {knowing['placement']} |")
        changed = [row for row in own if _changed(row)]
        for wrong, placement in _alike(changed).items():
            of = [row for row in changed if row["wrong"] == wrong[0]]
            cells = " | ".join(map(_regret, of))
            lines.append(f"| {case} | {part:.0%} | {', '.join(wrong)} | {cells} | {placement} |")
    return "\n".join(lines) + "\n"


def _alike(rows: Rows) -> dict[tuple[str, ...], str]:
    """Wrong beliefs that lead to one plan under one truth."""
    by: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        names = by.setdefault((row["placement"], row["knowing"]), [])
        if row["wrong"] not in names:
            names.append(row["wrong"])
    return {tuple(names): placement for (placement, _), names in by.items()}


def _bursts(rows: Rows) -> str:
    """Of the plan that knows all but bursts: its latency, and its regret in hindsight."""
    cvs = list(dict.fromkeys(row["cv"] for row in rows))
    lines = ["| case | rate | " + " | ".join(f"CV {cv:g} | best of all" for cv in cvs) + " |"]
    lines.append("|---" * (2 + 2 * len(cvs)) + "|")
    for case, part in dict.fromkeys((row["case"], row["part"]) for row in rows):
        own = [row for row in rows if (row["case"], row["part"]) == (case, part)]
        cells: list[str] = []
        for row in (row for row in own if row["wrong"] == NOTHING):
            least = 1 / (1 + row["hindsight"]) - 1
            cells += [_seconds(row), f"{least:+.1%}" if least else "itself"]
        lines.append(f"| {case} | {part:.0%} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _seconds(row: dict[str, Any]) -> str:
    if row["latency_mean"] is None:
        return "no plan"
    return f"{row['latency_mean']:.3g} s" + ("" if row["carried"] else " *overloaded*")


def _regret(row: dict[str, Any]) -> str:
    if row["regret"] is None:
        return "no plan"
    text = f"{row['regret']:+.1%} ± {row['within']:.1%}"
    return text if row["carried"] else f"{text} *overloaded*"
