"""The options of every LLM on a cluster, and reasons for those that are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, lcm

import numpy as np

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible
from scepsy.errors import BadInput
from scepsy.hardware.memory import least_memory_share
from scepsy.hardware.tensor_parallel import degrees, refusal
from scepsy.search.dominance import undominated
from scepsy.search.options import Ints, Options, ReplicaSize, StageCosts

_ROUNDING = 1e-12
"""Part of a GPU's memory by which a memory floor may be exceeded. It is above the rounding error of
the division and below one KV block.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """What the search chooses from: undominated options per LLM, in the order of the LLMs' names.

    Attributes:
        cluster: the cluster that the options are for.
        gpus: the most GPUs of the cluster that may be taken.
        grain: share units in one GPU.
        options: by LLM, the options that no other option dominates.
        offered: by LLM, the number of options before dominated ones were dropped.
        reasons: sentences on what was left out and why.
    """

    cluster: Cluster
    gpus: int
    grain: int
    options: tuple[Options, ...]
    offered: tuple[int, ...]
    reasons: tuple[str, ...]


def space(
    llms: Sequence[LlmSpec],
    cluster: Cluster,
    stage_costs: StageCosts,
    share_step: float,
    *,
    share_groups: bool = False,
    gpus: int | None = None,
) -> Space | Infeasible:
    """The options of `llms` on `cluster`, or on at most `gpus` of its GPUs. With `share_groups`,
    the replicas of a TP group may have a share of each of its GPUs, too.

    Infeasible where some LLM has no option at all. Raises BadInput where `share_step` does not
    divide one GPU, or two LLMs have one name.
    """
    grain = grain_of(share_step, cluster)
    most = cluster.gpus if gpus is None else min(gpus, cluster.gpus)
    ordered = sorted(llms, key=lambda llm: llm.name)
    for one, other in pairwise(ordered):
        if one.name == other.name:
            raise BadInput(f"LLM {one.name!r} is listed twice")
    kept: list[Options] = []
    offered: list[int] = []
    reasons: list[str] = []
    for llm in ordered:
        found, notes = shapes(llm, cluster, grain, share_groups=share_groups)
        if not found:
            return Infeasible("memory", notes[-1])
        options = _priced(llm, found, cluster, most, stage_costs)
        if not len(options):
            return Infeasible("throughput", _unsustained(llm, found, most))
        best = undominated(options)
        offered.append(len(options))
        kept.append(best)
        reasons.extend(notes)
        reasons.extend(_dominated_degrees(options, best))
    return Space(cluster, most, grain, tuple(kept), tuple(offered), tuple(reasons))


def grain_of(share_step: float, cluster: Cluster) -> int:
    """Share units in one GPU: those of `share_step`, or the fewest in which every share can be
    counted into which the cluster divides its GPUs. Raises BadInput for a step that does not divide
    one GPU.
    """
    if cluster.divisions:
        return lcm(*cluster.divisions)
    grain = round(1 / share_step) if share_step > 0 else 0
    if grain < 1 or abs(grain * share_step - 1) > 1e-6:
        raise BadInput(f"share step {share_step} does not divide one GPU; 0.1 and 0.05 do")
    return grain


def floors(llm: LlmSpec, cluster: Cluster) -> dict[int, float]:
    """By TP degree that engines accept for the LLM, rising: the smallest part of each GPU's memory
    with which a replica can run. Above 1 the LLM does not fit at that degree.

    Raises BadInput for an LLM of unknown size, or a GPU memory that is not in bytes.
    """
    return {
        tp: least_memory_share(llm, tp=tp, gpu_memory=cluster.gpu_memory)
        for tp in degrees(llm, cluster.largest_domain)
        if refusal(llm, tp) is None
    }


def shapes(
    llm: LlmSpec, cluster: Cluster, grain: int, *, share_groups: bool = False
) -> tuple[tuple[ReplicaSize, ...], list[str]]:
    """The shapes that fit, and reasons for the TP degrees that do not fit or that engines refuse.

    A replica on a share of a GPU gets as memory the larger one of its compute share and the memory
    floor. A replica on whole GPUs gets all of their memory. Shapes for which the cluster has no
    room are left out.
    """
    found: list[ReplicaSize] = []
    reasons: list[str] = []
    for tp, needed in floors(llm, cluster).items():
        if needed > 1 + _ROUNDING:
            reasons.append(f"{llm.name!r} needs {tp * needed:.1f} GPUs of memory at TP{tp}")
            continue
        if cluster.divisions:
            equal, too_small = _equal_shares(llm, cluster, grain, tp, needed)
            found.extend(equal)
            reasons.extend(too_small)
            continue
        if tp == 1 or share_groups:
            floor = max(1, ceil(needed * grain - _ROUNDING))
            found.extend(ReplicaSize(tp, unit, max(unit, floor), grain) for unit in range(1, grain))
        found.append(ReplicaSize(tp, grain, grain, grain))
    refused = [
        reason
        for tp in degrees(llm, cluster.largest_domain)
        if (reason := refusal(llm, tp)) is not None
    ]
    if found:
        return tuple(found), [*refused, *reasons]
    if not reasons:
        return (), [f"no GPU for {llm.name!r}"]
    wider = refused or [
        f"no TP degree above {min(llm.max_tp, cluster.largest_domain)} is open to it"
    ]
    return (), ["; ".join((reasons[-1], *wider))]


def _equal_shares(
    llm: LlmSpec, cluster: Cluster, grain: int, tp: int, needed: float
) -> tuple[list[ReplicaSize], list[str]]:
    """The shapes of one TP degree on GPUs that are divided into equal shares, and reasons for the
    shares that are too small. Replicas of TP groups take undivided GPUs.
    """
    found: list[ReplicaSize] = []
    reasons: list[str] = []
    for shares in cluster.divisions:
        if shares > 1 and tp > 1:
            continue
        if needed > 1 / shares + _ROUNDING:
            reasons.append(
                f"{llm.name!r} needs {needed:.2f} of a GPU's memory, more than 1/{shares}, into "
                "which the cluster divides GPUs"
            )
            continue
        found.append(ReplicaSize(tp, grain // shares, grain // shares, grain, divided=True))
    return found, reasons


def room(cluster: Cluster, shape: ReplicaSize, gpus: int | None = None) -> int:
    """The most replicas of one shape that an empty cluster holds, on at most `gpus` of its GPUs."""
    most = groups = cluster.gpus if gpus is None else gpus
    if shape.divided:
        nodes = cluster.divisions[shape.grain // shape.memory]
        groups = sum(len(node.free) for node in nodes)
    if shape.tp > 1:
        groups = sum(len(domain) // shape.tp for node in cluster.nodes for domain in node.domains)
    return min(groups, most // shape.tp) * (shape.grain // shape.memory)


def _priced(
    llm: LlmSpec,
    found: Sequence[ReplicaSize],
    cluster: Cluster,
    gpus: int,
    stage_costs: StageCosts,
) -> Options:
    """Every shape with every number of replicas that sustains the targets."""
    counts = [np.arange(1, room(cluster, shape, gpus) + 1, dtype=np.int64) for shape in found]
    costs = [
        stage_costs(llm, shape.tp, shape.gpu_share, count)
        for shape, count in zip(found, counts, strict=True)
    ]
    index: Ints = np.repeat(np.arange(len(found)), [len(count) for count in counts])
    options = Options(llm, tuple(found), index, np.concatenate(counts), np.concatenate(costs))
    return options.where(np.isfinite(options.cost))


def _unsustained(llm: LlmSpec, found: Sequence[ReplicaSize], gpus: int) -> str:
    degrees = ", ".join(f"TP{tp}" for tp in sorted({shape.tp for shape in found}))
    return (
        f"no share and replica count of {llm.name!r} at {degrees} sustains the targets "
        f"on {gpus} GPUs within what was profiled"
    )


def _dominated_degrees(options: Options, best: Options) -> Iterator[str]:
    """One sentence per TP degree whose options are all dominated or do not sustain the targets."""
    name = options.llm.name
    for tp in sorted({shape.tp for shape in options.shapes}):
        of_tp = np.array([shape.tp == tp for shape in options.shapes])
        if not of_tp[options.shape].any():
            yield f"{name!r} at TP{tp} does not sustain the targets, or was not profiled"
        elif not of_tp[best.shape].any():
            yield f"{name!r} at TP{tp} is never faster than what fits in the same GPUs"
