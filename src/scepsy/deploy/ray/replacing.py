"""A plan placed anew on the nodes that are left (pure)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import msgspec

from scepsy.core.cluster import Cluster
from scepsy.core.plan import Infeasible, Placement, Plan, Replica, Slice
from scepsy.hardware.equal_shares import SHARE_TOLERANCE
from scepsy.place import place

_Gpu = tuple[str, int]


def replaced(plan: Plan, living: Collection[str]) -> Plan | Infeasible:
    """The plan with the same allocation on the `living` nodes of its cluster.

    Replicas on living nodes stay where they are, and those of lost nodes go where there is room. If
    that leaves one without room, everything is placed anew. Infeasible says what does not fit.
    """
    nodes = tuple(node for node in plan.cluster.nodes if node.name in living)
    if nodes == plan.cluster.nodes:
        return plan
    lost = ", ".join(node.name for node in plan.cluster.nodes if node.name not in living)
    if not nodes:
        return Infeasible("nodes", f"all nodes of the plan are lost: {lost}")
    left = msgspec.structs.replace(plan.cluster, nodes=nodes)
    placement = _around_the_others(plan.placement, left) or place(plan.allocation, left)
    if isinstance(placement, Infeasible):
        return Infeasible(
            placement.binding,
            f"without {lost} the plan does not fit on what is left ({left.gpus} GPUs on "
            f"{len(nodes)} nodes): {placement.reason}",
        )
    return msgspec.structs.replace(plan, cluster=left, placement=placement)


def _around_the_others(placement: Placement, left: Cluster) -> Placement | None:
    """The placement with only the replicas of lost nodes moved; None where one finds no room."""
    nodes = {node.name for node in left.nodes}
    stay = [one for one in placement.replicas if _nodes(one) <= nodes]
    room = _Room.of(left, stay)
    moved: list[Replica] = []
    homeless = [one for one in placement.replicas if not _nodes(one) <= nodes]
    for replica in sorted(homeless, key=lambda one: (-one.tp, -one.gpu_share, one.replica)):
        group = room.take(replica)
        if group is None:
            return None
        moved.append(_at(replica, group))
    return Placement(replicas=tuple(sorted((*stay, *moved), key=lambda one: one.replica)))


@dataclass(slots=True)
class _Room:
    """What is free of every GPU: part of its compute, and of its memory. `domains` are the groups
    of GPUs that share NVLink.
    """

    compute: dict[_Gpu, float]
    memory: dict[_Gpu, float]
    domains: tuple[tuple[_Gpu, ...], ...]

    @staticmethod
    def of(cluster: Cluster, replicas: Iterable[Replica]) -> _Room:
        domains = tuple(
            tuple((node.name, gpu) for gpu in domain)
            for node in cluster.nodes
            for domain in node.domains
        )
        gpus = [gpu for domain in domains for gpu in domain]
        room = _Room(dict.fromkeys(gpus, 1.0), dict.fromkeys(gpus, 1.0), domains)
        for replica in replicas:
            for part in replica.slices:
                room._use((part.node, part.gpu), part)
        return room

    def take(self, replica: Replica) -> tuple[_Gpu, ...] | None:
        """The GPUs for a replica, which it has from now on: those of one domain with the least room
        to spare.
        """
        best: tuple[float, tuple[_Gpu, ...]] | None = None
        for domain in self.domains:
            fitting = [gpu for gpu in domain if self._fits(gpu, replica)]
            if len(fitting) < replica.tp:
                continue
            tightest = tuple(
                sorted(fitting, key=lambda gpu: (self.compute[gpu], gpu))[: replica.tp]
            )
            spare = sum(self.compute[gpu] for gpu in domain)
            if best is None or spare < best[0]:
                best = spare, tightest
        if best is None:
            return None
        for gpu, part in zip(best[1], replica.slices, strict=True):
            self._use(gpu, part)
        return best[1]

    def _fits(self, gpu: _Gpu, replica: Replica) -> bool:
        compute = replica.gpu_share <= self.compute[gpu] + SHARE_TOLERANCE
        return compute and replica.memory_share <= self.memory[gpu] + SHARE_TOLERANCE

    def _use(self, gpu: _Gpu, part: Slice) -> None:
        self.compute[gpu] -= part.gpu_share
        self.memory[gpu] -= part.memory_share


def _at(replica: Replica, gpus: tuple[_Gpu, ...]) -> Replica:
    parts = tuple(
        msgspec.structs.replace(part, node=node, gpu=gpu)
        for part, (node, gpu) in zip(replica.slices, gpus, strict=True)
    )
    return msgspec.structs.replace(replica, slices=parts)


def _nodes(replica: Replica) -> set[str]:
    return {part.node for part in replica.slices}
