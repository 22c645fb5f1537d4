"""Errors per group: as simulated, and with what other points say of the engine (pure)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from experiments.silicon.calibrate import Adds, Pair, fit
from experiments.silicon.points import Point
from experiments.silicon.timers import Source

from scepsy.hardware.host_time import host_time

Name = tuple[str, ...]
Row = dict[str, Any]

IMPLAUSIBLE: dict[Name, str] = {
    ("llama-3.1-8b-fp8", "h200", "vllm"): "implies prompt rates beyond the GPU's peak"
}
FEW = 10
"""Fewer points than these are shown and count nowhere else."""

WHAT: dict[str, Callable[[Adds, Pair], float]] = {
    "whole": lambda adds, pair: adds.whole(*pair) / pair[0].whole - 1,
    "ttft": lambda adds, pair: adds.ttft(pair[1]) / pair[0].ttft - 1,
    "tpot": lambda adds, pair: adds.tpot(pair[1]) / pair[0].tpot - 1,
}


def rows_of(
    source: Source,
    groups: Mapping[Name, Sequence[Point]],
    pairs: Mapping[Name, Sequence[Pair]],
    why_not: Mapping[Name, str],
) -> list[Row]:
    """A row per group of which something was simulated; `error` is the mean absolute relative one,
    `bias` the mean one; without the others' LLMs of an engine there is no `others`.
    """
    shipped = host_time("vllm")
    counted = {
        name: some for name, some in pairs.items() if name not in IMPLAUSIBLE and len(some) >= FEW
    }
    by_engine = engines(counted)
    rows: list[Row] = []
    for name, some in pairs.items():
        row: Row = dict(zip(("llm", "gpu", "backend"), name, strict=True))
        row |= {"steps": source, "points": len(some), "of": len(groups[name])}
        row |= {"excluded": IMPLAUSIBLE.get(name, "" if name in counted else "few points")}
        row |= {"not_simulated": why_not.get(name, "")[:160]}
        row["untuned"] = errors([(Adds(), pair) for pair in some])
        row["shipped"] = errors(
            [(Adds(host=shipped.step, request=shipped.request), p) for p in some]
        )
        if name in counted:
            row["engine"] = errors([(by_engine[id(pair)], pair) for pair in some])
            row["half"] = errors(halves(some))
            others = [
                pair
                for other, theirs in counted.items()
                if other[2] == name[2] and family(other) != family(name)
                for pair in theirs
            ]
            if others:
                adds = fit(others, scaled=False)
                row["others"] = errors([(adds, pair) for pair in some])
                row["others_adds"] = said(adds)
            row["adds"] = said(fit(some))
        rows.append(row)
    return rows


def engines(counted: Mapping[Name, Sequence[Pair]]) -> dict[int, Adds]:
    """Every point with what its engine adds, fitted to that half of all LLMs' points, one after the
    other, which it is not in; the steps stay as long as they are.
    """
    found: dict[int, Adds] = {}
    for engine in {name[2] for name in counted}:
        pairs = [pair for name, some in counted.items() if name[2] == engine for pair in some]
        random.Random(0).shuffle(pairs)
        for one, other in ((pairs[::2], pairs[1::2]), (pairs[1::2], pairs[::2])):
            adds = fit(other, scaled=False)
            found |= {id(pair): adds for pair in one}
    return found


def family(name: Name) -> str:
    """An LLM in whatever precision."""
    return re.sub("-(bf16|fp8|fp8_block|nvfp4)$", "", name[0])


def halves(pairs: Sequence[Pair]) -> list[tuple[Adds, Pair]]:
    """Every point with the constants that the half it is not in was fitted to."""
    shuffled = list(pairs)
    random.Random(0).shuffle(shuffled)
    one, other = shuffled[::2], shuffled[1::2]
    first, second = fit(one), fit(other)
    return [(second, pair) for pair in one] + [(first, pair) for pair in other]


def errors(found: Sequence[tuple[Adds, Pair]]) -> dict[str, float]:
    values = {what: [of(adds, pair) for adds, pair in found] for what, of in WHAT.items()}
    return {
        **{what: round(fmean(map(abs, some)), 4) for what, some in values.items()},
        **{f"{what}_bias": round(fmean(some), 4) for what, some in values.items()},
    }


def said(adds: Adds) -> dict[str, float]:
    return {
        "scale": round(adds.scale, 3),
        "host_ms": round(adds.host * 1e3, 2),
        "token_us": round(adds.token * 1e6, 1),
        "request_ms": round(adds.request * 1e3, 1),
    }
