"""Reads raw.jsonl into what the fits take. Pure but for `load`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.fit_shares import (
    LONG_PREFILL,
    SMALL_BATCH,
    PairRate,
    ShareRatio,
    co_location,
    ratio,
)
from benchmarks.gpu.fit_steps import MeasuredStep
from benchmarks.gpu.shapes import SHAPES

Records = Sequence[dict[str, Any]]
KEYS = ("llm", "prefill", "prefix", "decodes", "context")


def load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def whole_gpu_steps(records: Records, engine: str) -> list[MeasuredStep]:
    return [
        MeasuredStep(SHAPES[each["llm"]], *(each[key] for key in KEYS[1:]), each["seconds"])
        for each in records
        if each["record"] == "step" and each["engine"] == engine and each["mechanism"] is None
    ]


def share_ratios(records: Records, fixed: float, scale: int = 1) -> Iterator[ShareRatio]:
    """Against the same step on all multiprocessors under the same mechanism.

    fixed: seconds of a step that no share stretches. scale: divisor of the sizes from which a
    step counts as bound by compute or memory (1 on a GPU).
    """
    steps = [each for each in records if each["record"] == "step" and each["mechanism"]]
    whole = {
        tuple(each[key] for key in KEYS): each["seconds"] for each in steps if each["asked"] == 1
    }
    for each in steps:
        same = tuple(each[key] for key in KEYS)
        if same not in whole:
            continue
        stretched = ratio(each["seconds"], whole[same], fixed)
        if each["prefill"] * scale >= LONG_PREFILL:
            yield ShareRatio("compute", each["share"], stretched)
        elif each["decodes"] and each["decodes"] * scale <= SMALL_BATCH:
            yield ShareRatio("memory", each["share"], stretched)


def pair_rates(records: Records) -> list[PairRate]:
    rates = [each for each in records if each["record"] == "rate"]
    alone = [(r["kind"], r["share"], r["rate"]) for r in rates if "neighbour" not in r]
    together: dict[tuple[str, float, str, float], float] = defaultdict(float)
    for r in rates:
        if "neighbour" in r:
            one, other = (r["kind"], r["share"]), (r["neighbour"], r["neighbour_share"])
            together[*one, *other] = r["rate"]
            together[*other, *one] = r["neighbour_rate"]
    return co_location(alone, [(*k[:2], rate, *k[2:]) for k, rate in together.items()])
