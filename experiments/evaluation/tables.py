"""Rows of E1 -> tables in Markdown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from scepsy.core.plan import Replica

Rows = Sequence[dict[str, Any]]
OURS = "Scepsy"
BOUND = 2.0
"""The latency bound: so many times the lowest mean latency of any system at the lowest rate."""
VARIANTS = ("Scepsy + ",)
"""Other policies on our plans: no baselines."""
PARTS_OF_GROUPS = "MuxServe"
"""It may give an LLM a part of each GPU of a TP group, which we do not."""


def described(replicas: Iterable[Replica]) -> str:
    """ "2 writer TP4, 1 reranker TP1 x 0.2 GPU"."""
    count: Counter[str] = Counter()
    for one in replicas:
        share = "" if one.gpu_share >= 1 else f" x {one.gpu_share:.2g} GPU"
        count[f"{one.llm} TP{one.tp}{share}"] += 1
    return ", ".join(f"{number} {name}" for name, number in sorted(count.items()))


def report(rows: Rows) -> str:
    """All tables of a run."""
    parts = ["## Where we fall short, where we win\n", _against_best(rows), "\n## Point by point\n"]
    for (case, gpu_type, gpus), own in _cases(rows):
        title = f"{case}, {gpus} x {gpu_type.upper()}"
        parts += [f"\n### {title}\n\n", _points(own), "\n", _within(own)]
    return "".join(parts)


def _cases(rows: Rows) -> Iterable[tuple[tuple[str, str, int], Rows]]:
    for key, own in groupby(rows, key=lambda row: (row["case"], row["gpu_type"], row["gpus"])):
        yield key, list(own)


def totals(rows: Rows) -> dict[str, dict[float, float | None]]:
    """By system and rate: the sum of the workflows' mean latencies, what plans minimise; None where
    there is no placement or the load was not carried.
    """
    found: dict[str, dict[float, float | None]] = defaultdict(dict)
    for row in rows:
        one = row["latency_mean"] if row["sustained"] else None
        before = found[row["system"]].get(row["part"], 0.0)
        found[row["system"]][row["part"]] = None if one is None or before is None else before + one
    return found


def baselines(of: dict[str, dict[float, float | None]]) -> list[str]:
    return [name for name in of if name != OURS and not name.startswith(VARIANTS)]


def _points(rows: Rows) -> str:
    parts = sorted({row["part"] for row in rows})
    flows = list(dict.fromkeys(row["workflow"] for row in rows))
    rates = {(row["part"], row["workflow"]): row["rate"] for row in rows}
    head = [
        ", ".join(f"{rates[part, flow]:.3g}/s" for flow in flows) + f" ({part:.0%})"
        for part in parts
    ]
    lines = [f"| mean / p99, s | {' | '.join(head)} | placement at the highest rate |"]
    lines.append("|---" * (len(head) + 2) + "|")
    for system in dict.fromkeys(row["system"] for row in rows):
        cells = [
            "; ".join(_cell(row) for row in rows if row["system"] == system and row["part"] == part)
            for part in parts
        ]
        last = [row for row in rows if row["system"] == system][-1]
        lines.append(f"| {system} | {' | '.join(cells)} | {last['placement'] or last['why']} |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any]) -> str:
    if row["latency_mean"] is None:
        return "-"
    text = f"{row['latency_mean']:.3g} / {row['latency_p99']:.3g}"
    if row["predicted"]:
        text += f" (predicted {row['predicted']:.3g})"
    return text if row["sustained"] else f"{text} *overloaded*"


def _within(rows: Rows) -> str:
    """The highest rate of the grid within the latency bound."""
    of = totals(rows)
    lowest = min(row["part"] for row in rows)
    best = min((one[lowest] for one in of.values() if one[lowest] is not None), default=None)
    if best is None:
        return ""
    found = {
        system: max(
            (part for part, one in points.items() if one is not None and one <= BOUND * best),
            default=0.0,
        )
        for system, points in of.items()
    }
    told = ", ".join(f"{system} {part:.0%}" for system, part in found.items())
    return (
        f"Highest rate of the grid at which the mean latency stays within {BOUND:g} x the best at "
        f"the lowest rate ({BOUND * best:.3g} s): {told}.\n"
    )


def _against_best(rows: Rows) -> str:
    lines = [
        "| case | GPUs | rate | ours, s | predicted over it | best baseline, s | ours over it "
        "| best on whole TP groups, s | ours over it | HPA, s | ours over it |",
        "|---" * 11 + "|",
    ]
    for (case, gpu_type, gpus), own in _cases(rows):
        of = totals(own)
        for part, ours in of[OURS].items():
            theirs = {
                name: latency
                for name in baselines(of)
                if (latency := of[name].get(part)) is not None
            }
            alike = {name: latency for name, latency in theirs.items() if name != PARTS_OF_GROUPS}
            hpa = {name: latency for name, latency in theirs.items() if name == "HPA"}
            cells = [case, f"{gpus} {gpu_type}", f"{part:.0%}", _seconds(ours)]
            cells += [_change(_sum(own, part, "predicted"), ours)]
            for group in (theirs, alike, hpa):
                which = min(group, key=lambda name: group[name]) if group else None
                cells.append(f"{group[which]:.3g} {which}" if which else "none carries it")
                cells.append(_change(ours, group.get(which or "")))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _sum(rows: Rows, part: float, what: str) -> float | None:
    found = [row[what] for row in rows if row["system"] == OURS and row["part"] == part]
    return None if any(one is None for one in found) else sum(found)


def _seconds(value: float | None) -> str:
    return "overloaded" if value is None else f"{value:.3g}"


def _change(value: float | None, over: float | None) -> str:
    return "-" if value is None or not over else f"{value / over - 1:+.0%}"
