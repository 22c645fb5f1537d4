"""Places an allocation on a cluster: replicas on whole GPUs first, then those on GPU shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, islice, repeat

from scepsy.core.cluster import Cluster
from scepsy.core.plan import (
    Allocation,
    Infeasible,
    LlmAllocation,
    Placement,
    Replica,
    Slice,
    size_name,
)
from scepsy.hardware.equal_shares import equal_shares_of, share_name
from scepsy.place.domains import Domains, Gpu
from scepsy.place.groups import Groups, place_groups, takes_part_of_a_group
from scepsy.place.packing import WHOLE, ItemType, Leftover, PackedBins, pack


def place(
    allocation: Allocation, cluster: Cluster, *, gpus: int | None = None
) -> Placement | Infeasible:
    """The GPUs of every replica. The shares on a GPU add up to at most one, in compute and in
    memory.

    At most `gpus` GPUs of the cluster are used, by default all. The highest TP degrees are placed
    first, each replica in one NVLink domain by best fit. Then replicas on GPU shares are packed
    onto the remaining GPUs, those of domains in use first, so that whole GPUs and whole domains
    stay free. The result is deterministic. Infeasible names the replica that did not fit, and the
    GPUs that were left.
    """
    most = cluster.gpus if gpus is None else min(gpus, cluster.gpus)
    if cluster.divisions:
        groups = _place_on_equal_shares(allocation, cluster, most)
    elif any(map(takes_part_of_a_group, allocation.llms)):
        groups = place_groups(allocation.llms, cluster)
    else:
        groups = _place_whole_then_fractional(allocation, cluster, most)
    if isinstance(groups, Infeasible):
        return groups
    used = len({gpu for of in groups.values() for group in of for gpu in group})
    if used > most:
        return Infeasible(
            "gpus", f"the replicas take {used} GPUs as they are packed; {most} may be used"
        )
    return Placement(
        replicas=tuple(
            _replica(part, number, group)
            for part in allocation.llms
            for number, group in enumerate(groups[part.llm])
        )
    )


def _place_whole_then_fractional(
    allocation: Allocation, cluster: Cluster, gpus: int
) -> Groups | Infeasible:
    """Places replicas on whole GPUs first, then those on GPU shares on the rest of `gpus`."""
    whole = [part for part in allocation.llms if not _fractional(part)]
    by_shares = _by_shares(part for part in allocation.llms if _fractional(part))
    types = [
        ItemType(*shares, sum(part.replicas for part in same)) for shares, same in by_shares.items()
    ]
    left = gpus - sum(part.tp * part.replicas for part in whole)
    loads = pack(types, max(left, 0))
    if isinstance(loads, Leftover):
        return _does_not_fit(list(by_shares.values())[loads.item_type], loads, max(left, 0))
    domains = Domains(cluster)
    groups = _place_whole(whole, domains)
    if isinstance(groups, Infeasible):
        return groups
    groups.update(_spread(list(by_shares.values()), loads, tuple(domains.free())))
    return groups


def _place_on_equal_shares(
    allocation: Allocation, cluster: Cluster, gpus: int
) -> Groups | Infeasible:
    """Places each replica on nodes that divide their GPUs into shares of its size."""
    groups: Groups = {}
    by_shares: dict[int, list[LlmAllocation]] = {}
    for part in allocation.llms:
        shares = equal_shares_of(part.tp, part.gpu_share, part.memory_share)
        if shares not in cluster.divisions:
            there = " or ".join(share_name(each) for each in cluster.divisions)
            return Infeasible(
                "gpus",
                f"replicas of {part.llm} take {size_name(part.tp, part.gpu_share)} and "
                f"{part.memory_share:.2g} of the memory; the cluster gives {there}",
            )
        by_shares.setdefault(shares, []).append(part)
    for shares, parts in by_shares.items():
        alike = Cluster(nodes=cluster.divisions[shares], gpu_memory=cluster.gpu_memory)
        alone = Allocation(llms=tuple(parts))
        found = _place_whole_then_fractional(alone, alike, min(gpus, alike.gpus))
        if isinstance(found, Infeasible):
            return found
        groups.update(found)
    return groups


def _fractional(part: LlmAllocation) -> bool:
    return part.gpu_share < 1


def _by_shares(parts: Iterable[LlmAllocation]) -> dict[tuple[int, int], list[LlmAllocation]]:
    """LLMs by the (compute, memory) of one replica in packing units."""
    by_shares: dict[tuple[int, int], list[LlmAllocation]] = {}
    for part in parts:
        shares = round(part.gpu_share * WHOLE), round(part.memory_share * WHOLE)
        by_shares.setdefault(shares, []).append(part)
    return by_shares


def _place_whole(parts: Sequence[LlmAllocation], domains: Domains) -> Groups | Infeasible:
    groups: Groups = {part.llm: [] for part in parts}
    for part in sorted(parts, key=lambda part: (-part.tp, part.llm)):
        for number in range(part.replicas):
            group = domains.take(part.tp)
            if group is None:
                left = len(list(domains.free()))
                return Infeasible(
                    "gpus" if left < part.tp else "nvlink_domain",
                    f"replica {part.llm}-{number} needs {part.tp} GPUs in one NVLink domain; "
                    f"{left} are left, at most {domains.largest_free} in one domain",
                )
            groups[part.llm].append(group)
    return groups


def _spread(
    by_shares: Sequence[Sequence[LlmAllocation]], loads: Sequence[PackedBins], gpus: Sequence[Gpu]
) -> Groups:
    """The GPU of every replica on a GPU share: patterns are assigned to GPUs in order, and LLMs
    with equal shares fill the places of their item type one after another.
    """
    groups: Groups = {part.llm: [] for same in by_shares for part in same}
    queues = [chain.from_iterable(repeat(p.llm, p.replicas) for p in same) for same in by_shares]
    targets = iter(gpus)
    for load in loads:
        for gpu in islice(targets, load.bins):
            for queue, count in zip(queues, load.counts, strict=True):
                for llm in islice(queue, count):
                    groups[llm].append((gpu,))
    return groups


def _replica(part: LlmAllocation, number: int, group: Sequence[Gpu]) -> Replica:
    return Replica(
        replica=f"{part.llm}-{number}",
        llm=part.llm,
        tp=part.tp,
        slices=tuple(
            Slice(
                node=gpu.node,
                gpu=gpu.index,
                gpu_share=part.gpu_share,
                memory_share=part.memory_share,
            )
            for gpu in group
        ),
    )


def _does_not_fit(same: Sequence[LlmAllocation], leftover: Leftover, gpus: int) -> Infeasible:
    part = same[-1]
    needed = (
        f"replica {part.llm}-{max(0, part.replicas - leftover.count)} needs {part.gpu_share:g} of "
        f"a GPU and {part.memory_share:g} of its memory"
    )
    if not gpus:
        return Infeasible("gpus", f"{needed}; no GPU is left")
    return Infeasible(
        "memory" if part.memory_share > part.gpu_share else "gpus",
        f"{needed}; {gpus} GPUs are left for fractions, none with more than "
        f"{leftover.compute / WHOLE:.2g} of its compute and {leftover.memory / WHOLE:.2g} of its "
        "memory",
    )
