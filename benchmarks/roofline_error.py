"""How far the roofline is from the oracle's steps (`oracle_steps.py`)."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scepsy.core.llm import LlmSpec
from scepsy.hardware.architectures import shape_called
from scepsy.hardware.gpus import GpuConstants
from scepsy.hardware.step_time import StepLoad, StepTimer

STEPS = Path(__file__).parent / "data" / "oracle_steps.csv.gz"


@dataclass(frozen=True)
class Group:
    """The steps of one LLM at one TP degree; `load` holds an array in each field."""

    llm: LlmSpec
    tp: int
    load: StepLoad
    seconds: np.ndarray
    kind: np.ndarray

    def half(self, remainder: int) -> Group:
        """Every second step."""
        pick = slice(remainder, None, 2)
        return Group(
            self.llm,
            self.tp,
            StepLoad(*(part[pick] for part in self.load)),
            self.seconds[pick],
            self.kind[pick],
        )


def read_groups(path: Path) -> dict[str, list[Group]]:
    """Groups by GPU type."""
    rows: dict[tuple[str, str, int], list[list[float]]] = defaultdict(list)
    with gzip.open(path, "rt") as file:
        for row in csv.DictReader(file):
            key = row["gpu"], row["llm"], int(row["tp"])
            names = ("prefills", "prefill_tokens", "prefill_kv", "decodes", "decode_kv", "seconds")
            rows[key].append([float(row[name]) for name in names])
    found: dict[str, list[Group]] = defaultdict(list)
    for (gpu, llm, tp), steps in sorted(rows.items()):
        n, p, before, d, kv, seconds = np.array(steps).T
        attended = p * (before + p / 2) / np.maximum(n, 1)
        kind = np.where(p == 0, "decode", np.where(d == 0, "prefill", "mixed"))
        spec = LlmSpec(name=llm, **shape_called(llm))
        found[gpu].append(Group(spec, tp, StepLoad(p, attended, d, kv), seconds, kind))
    return found


def log_ratios(gpu: GpuConstants, groups: Sequence[Group]) -> list[np.ndarray]:
    """ln(roofline / oracle) of every step, by group."""
    return [
        np.log(StepTimer(g.llm, gpu, tp=g.tp, host_overhead=0.0).seconds(g.load) / g.seconds)
        for g in groups
    ]


def errors(gpu: GpuConstants, groups: Sequence[Group]) -> dict[str, np.ndarray]:
    """Absolute relative errors by kind of LLM, and of dense LLMs by kind of step."""
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    for group, ratio in zip(groups, log_ratios(gpu, groups), strict=True):
        error = np.abs(np.expm1(ratio))
        found["mixture" if group.llm.experts else "dense"].append(error)
        found[f"{group.llm.name} TP{group.tp}"].append(error)
        if not group.llm.experts:
            for kind in ("decode", "prefill", "mixed"):
                found[kind].append(error[group.kind == kind])
    return {name: np.concatenate(parts) for name, parts in found.items()}
