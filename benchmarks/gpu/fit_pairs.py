"""What two engines on one GPU keep of their rates alone, measured and by our model. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from benchmarks.gpu.fit_steps import spec
from benchmarks.gpu.shapes import Shape

from scepsy.hardware.contention import slowdown
from scepsy.hardware.gpus import bandwidth_kept


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of step over and over, on a share of a GPU."""

    kind: str
    share: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Steps per second of `work`, alone or beside `neighbour`, and the bytes that a step moves."""

    work: Work
    rate: float
    step_bytes: float
    neighbour: Work | None = None


def co_location(rates: Sequence[Rate], bandwidth: float) -> list[dict[str, Any]]:
    """A row for each work beside a neighbour, both of whose rates alone are known.

    kept: part of its rate alone. kept_shipped: what `scepsy.hardware.contention` says of it, given
    the rates alone and the GPU's peak `bandwidth` (bytes/s).
    """
    alone = {rate.work: rate for rate in rates if rate.neighbour is None}
    return [
        {
            **asdict(each.work),
            "neighbour": each.neighbour.kind,
            "neighbour_share": each.neighbour.share,
            "kept": round(each.rate / alone[each.work].rate, 4),
            "kept_shipped": round(_shipped(alone, each.work, each.neighbour, bandwidth), 4),
        }
        for each in rates
        if each.neighbour and each.work in alone and each.neighbour in alone
    ]


def pair_error(rows: Sequence[Mapping[str, float]]) -> float:
    """Mean absolute relative error of the shipped model."""
    return fmean(abs(row["kept_shipped"] / row["kept"] - 1) for row in rows)


def step_bytes(shape: Shape, decodes: int, context: int) -> float:
    """The weights that a step reads, once, and the KV cache of the decoding sequences (bf16)."""
    llm = spec(shape)
    return llm.body_bytes + llm.head_bytes + decodes * context * llm.kv_bytes_per_token


def _shipped(alone: Mapping[Work, Rate], one: Work, other: Work, bandwidth: float) -> float:
    mine, its = (
        min(1.0, alone[work].rate * alone[work].step_bytes / bandwidth) for work in (one, other)
    )
    bound = min(1.0, mine / bandwidth_kept(one.share))
    return 1.0 / slowdown(bound, mine + its)
