"""Rows of E1 -> tables in Markdown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median
from typing import Any

from scepsy.core.plan import Replica

from .predictions import predictions

Rows = Sequence[dict[str, Any]]
OURS = "Scepsy"
OURS_OF_PARTS = "Scepsy, parts of groups"
VARIANTS = ("Scepsy",)
"""How those are called that are ours, or our plans under somebody else's policy: no baselines."""
OF_PARTS = ("MuxServe",)
"""They may give an LLM a part of each GPU of a TP group, which we do only when asked."""
WORSE = 0.03


def described(replicas: Iterable[Replica]) -> str:
    """ "2 writer TP4, 1 reranker TP1 x 0.2 GPU"."""
    count: Counter[str] = Counter()
    for one in replicas:
        share = "" if one.gpu_share >= 1 else f" x {one.gpu_share:.2g} GPU"
        count[f"{one.llm} TP{one.tp}{share}"] += 1
    return ", ".join(f"{number} {name}" for name, number in sorted(count.items()))


def report(rows: Rows, far: Rows = ()) -> str:
    """All tables of a run. `far` are rows of how far a system's rate reaches."""
    parts = ["## In short\n\n", _in_short(rows, far), "\n## On whole TP groups\n\n"]
    parts.append(_against(rows, OURS, OF_PARTS))
    if any(row["system"] == OURS_OF_PARTS for row in rows):
        parts += ["\n## With parts of TP groups\n\n", _against(rows, OURS_OF_PARTS, ())]
    parts += [
        "\n## Our predictions\n\n",
        predictions([row for row in rows if row["system"] == OURS]),
    ]
    parts.append("\n## Point by point\n")
    for (case, gpu_type, gpus), own in _cases(rows):
        title = f"{case}, {gpus} x {gpu_type.upper()}"
        of = [r for r in far if (r["case"], r["gpu_type"], r["gpus"]) == (case, gpu_type, gpus)]
        parts += [f"\n### {title}\n\n", _points(own), "\n", _reached(own, of)]
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


def baselines(of: Iterable[str]) -> list[str]:
    return [name for name in of if not name.startswith(VARIANTS)]


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
    p99 = "-" if row["latency_p99"] is None else f"{row['latency_p99']:.3g}"
    text = f"{row['latency_mean']:.3g} / {p99}"
    if row["predicted"]:
        text += f" (predicted {row['predicted']['mean']:.3g})"
    return text if row["sustained"] else f"{text} *overloaded*"


def _reached(rows: Rows, far: Rows) -> str:
    """How far each system's rate reaches within the latency bound."""
    if not far:
        return ""
    top = {row["workflow"]: row["rate"] / row["part"] for row in rows if row["system"] == OURS}
    whole = " + ".join(f"{rate:.3g}/s {name}" for name, rate in top.items())
    mine = next((row["reach"] for row in far if row["system"] == OURS), 0.0)
    told = [
        f"{row['system']} {row['reach']:.0%}"
        + (f" (ours {mine / row['reach']:.2f} x)" if row["reach"] and row["system"] != OURS else "")
        for row in far
    ]
    return (
        "Highest rate carried with every workflow's mean latency within twice what a run takes "
        f"alone, as part of {whole}: {', '.join(told)}.\n"
    )


def _in_short(rows: Rows, far: Rows) -> str:
    """Every baseline against ours on like terms, over all points that both carry, and spots."""
    latency: dict[str, list[float]] = defaultdict(list)
    carried: Counter[str] = Counter()
    for _, own in _cases(rows):
        of = totals(own)
        for name in baselines(of):
            ours = of.get(_like(name, of), {})
            for part, theirs in of[name].items():
                mine = ours.get(part)
                if mine is not None and theirs is not None:
                    latency[name].append(theirs / mine)
                carried[name] += mine is not None and theirs is None
    reach: dict[str, list[float]] = defaultdict(list)
    lost: Counter[str] = Counter()
    for spot in dict.fromkeys((row["case"], row["gpu_type"], row["gpus"]) for row in far):
        here = {
            row["system"]: row["reach"]
            for row in far
            if (row["case"], row["gpu_type"], row["gpus"]) == spot
        }
        for name in baselines(here):
            ours = here.get(_like(name, here), 0.0)
            if here[name]:
                reach[name].append(ours / here[name])
            lost[name] += not here[name]
    lines = [
        "| baseline | its mean latency over ours, at equal rate: least, median, most (points) "
        "| points that only ours carries | our highest rate over its: least, median, most (spots) "
        "| spots that it carries at no rate |",
        "|---" * 5 + "|",
    ]
    lines += [
        f"| {name} | {_range(latency[name])} | {carried[name]} | {_range(reach[name])} "
        f"| {lost[name] if name in lost or reach[name] else '-'} |"
        for name in latency
    ]
    return "\n".join(lines) + (
        "\n\nThe paper reports, of other workflows, LLMs and GPUs: up to 2.4 x throughput, 27 x "
        "lower latency.\n"
    )


def _like(baseline: str, systems: Iterable[str]) -> str:
    """Ours that may do what the baseline may."""
    return OURS_OF_PARTS if baseline in OF_PARTS and OURS_OF_PARTS in systems else OURS


def _range(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return f"{min(values):.2f}, {median(values):.2f}, {max(values):.2f} x ({len(values)})"


def _against(rows: Rows, mine: str, left_out: tuple[str, ...]) -> str:
    """Our system `mine` against the best baseline and HPA, point by point. An interval is 95%, of
    the differences of the same runs.
    """
    lines = [
        "| case | GPUs | rate | ours, s | predicted over it | best baseline, s | ours over it "
        "| HPA, s | ours over it |",
        "|---" * 9 + "|",
    ]
    missed: list[str] = []
    for (case, gpu_type, gpus), own in _cases(rows):
        of = totals(own)
        for part, ours in of.get(mine, {}).items():
            theirs = {
                name: latency
                for name in baselines(of)
                if (latency := of[name].get(part)) is not None and name not in left_out
            }
            hpa = {name: latency for name, latency in theirs.items() if name == "HPA"}
            where = [case, f"{gpus} {gpu_type}", f"{part:.0%}"]
            cells = [*where, _seconds(ours), _change(_sum(own, mine, part), ours)]
            for group in (theirs, hpa):
                which = min(group, key=lambda name: group[name]) if group else None
                cells.append(f"{group[which]:.3g} {which}" if which else "none carries it")
                cells.append(_over(own, mine, which, part, ours))
            lines.append(f"| {' | '.join(cells)} |")
            if theirs and (ours is None or ours > (1 + WORSE) * min(theirs.values())):
                missed.append(f"{', '.join(where)} ({cells[6]})")
    told = "; ".join(missed) or "nowhere"
    return "\n".join(lines) + f"\n\nMore than {WORSE:.0%} worse than the best: {told}.\n"


def _over(rows: Rows, mine: str, which: str | None, part: float, ours: float | None) -> str:
    if which is None or ours is None:
        return "-"
    row = next(row for row in rows if row["system"] == which and row["part"] == part)
    if mine not in row.get("over", {}):
        total = totals(rows)[which][part]
        return _change(ours, total)
    difference, within = row["over"][mine]
    return f"{difference:+.0%} ± {within:.0%}"


def _sum(rows: Rows, mine: str, part: float) -> float | None:
    found = [row["predicted"] for row in rows if row["system"] == mine and row["part"] == part]
    return None if any(one is None for one in found) else sum(one["mean"] for one in found)


def _seconds(value: float | None) -> str:
    return "overloaded" if value is None else f"{value:.3g}"


def _change(value: float | None, over: float | None) -> str:
    return "-" if value is None or not over else f"{value / over - 1:+.0%}"
