"""Reads raw.jsonl into what the fits take. Pure but for `load`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.fit_pairs import Rate, Work, step_bytes
from benchmarks.gpu.fit_shares import LONG_PREFILL, SMALL_BATCH, ShareRatio, ratio
from benchmarks.gpu.fit_steps import MeasuredStep
from benchmarks.gpu.shapes import SHAPES

from scepsy.hardware.host_time import host_time

HOST_STEP = host_time("emulated").step
"""Seconds of host work per step that the step time model adds to the GPU's own for these shapes."""

Records = Sequence[dict[str, Any]]
KEYS = ("llm", "prefill", "prefix", "decodes", "context")


def load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def whole_gpu_steps(records: Records, engine: str) -> list[MeasuredStep]:
    """The plain decoder is timed on the GPU: the host work of a step that an engine would do, as
    the step time model has it, is added.
    """
    host = HOST_STEP if engine == "torch" else 0.0
    return [
        MeasuredStep(SHAPES[each["llm"]], *(each[key] for key in KEYS[1:]), each["seconds"] + host)
        for each in records
        if each["record"] == "step" and each["engine"] == engine and each["mechanism"] is None
    ]


def share_ratios(
    records: Records, layer_overhead: float, prefill_overhead: float, scale: int = 1
) -> Iterator[ShareRatio]:
    """Against the same step on all multiprocessors under the same mechanism.

    The overheads (seconds per layer, and the same again where prompts are computed) are the part
    of a step that no share stretches. scale: divisor of the sizes from which a step counts as
    bound by compute or memory (1 on a GPU; on a CPU overheads are not reckoned with).
    """
    steps = [each for each in records if each["record"] == "step" and each["mechanism"]]
    whole = {
        tuple(each[key] for key in KEYS): each["seconds"] for each in steps if each["asked"] == 1
    }
    for each in steps:
        same = tuple(each[key] for key in KEYS)
        if same not in whole:
            continue
        overhead = layer_overhead + prefill_overhead * (each["prefill"] > 0)
        fixed = SHAPES[each["llm"]].layers * overhead * (scale == 1)
        stretched = ratio(each["seconds"], whole[same], fixed)
        if each["prefill"] * scale >= LONG_PREFILL:
            yield ShareRatio("compute", each["share"], stretched)
        elif each["decodes"] and each["decodes"] * scale <= SMALL_BATCH:
            yield ShareRatio("memory", each["share"], stretched)


def pair_rates(records: Records) -> list[Rate]:
    """Both members of each pair, and each alone."""
    found: list[Rate] = []
    for each in records:
        if each["record"] != "rate":
            continue
        work = Work(each["kind"], round(each["share"], 3))
        moved = step_bytes(SHAPES[each["llm"]], each["decodes"], each["context"])
        if "neighbour" not in each:
            found.append(Rate(work, each["rate"], moved))
            continue
        other = Work(each["neighbour"], round(each["neighbour_share"], 3))
        found.append(Rate(work, each["rate"], moved, other))
        found.append(Rate(other, each["neighbour_rate"], moved, work))
    return found
