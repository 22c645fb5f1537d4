"""GPUs of a Ray cluster that does not give them out by name: one-GPU placement groups hold them."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from scepsy.core.plan import Placement
from scepsy.deploy.ray.groups import PlacementGroups
from scepsy.deploy.ray.nodes import RayNode, alive
from scepsy.deploy.ray.records import HeldGpu
from scepsy.deploy.ray.state import StoredDeployment
from scepsy.errors import BadInput

_Gpu = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Reservations:
    """The GPUs that the deployment in `stored` holds.

    Ray chooses which GPU of a node a group gets. So groups of one GPU are asked for, a probe in
    each tells its GPU, and those with another one than is wanted are given back at the end.
    """

    stored: StoredDeployment
    groups: PlacementGroups

    async def take(self, placement: Placement, nodes: Collection[RayNode]) -> None:
        """Holds every GPU of the placement that is on a node without names of GPUs.

        Raises BadInput, naming the GPU, where others have it; then no more is held than before.
        """
        living = alive(nodes)
        wanted = {
            (part.node, part.gpu)
            for replica in placement.replicas
            for part in replica.slices
            if part.node in living and not living[part.node].by_name
        }
        missing = wanted - {one.gpu for one in self.stored.current.held}
        got: list[HeldGpu] = []
        for name in sorted({node for node, _ in missing}):
            node = living[name]
            here = {gpu for where, gpu in missing if where == name}
            found, others = await self._search(node, here)
            got += found
            lacking = here - {one.index for one in found}
            if lacking:
                await self.groups.remove(one.group for one in got)
                free = ", ".join(str(gpu) for gpu in sorted(others)) or "none"
                raise BadInput(
                    f"GPU '{name}/{min(lacking)}' is taken by another program on this Ray cluster, "
                    f"or does not exist; free GPUs of {name}: {free}. Plan for the GPUs that are "
                    "free: `scepsy cluster discover --ray` writes which"
                )
        if got:
            await self.stored.change(held=(*self.stored.current.held, *got))

    async def give_back(self, keep: Iterable[_Gpu] = ()) -> None:
        """Releases all GPUs but those to `keep`."""
        wanted = set(keep)
        held = self.stored.current.held
        kept = tuple(one for one in held if one.gpu in wanted)
        if len(kept) < len(held):
            await self.groups.remove(one.group for one in held if one not in kept)
            await self.stored.change(held=kept)

    async def _search(self, node: RayNode, wanted: set[int]) -> tuple[list[HeldGpu], set[int]]:
        """The wanted GPUs of a node that can be had, and the others that are free."""
        found: list[HeldGpu] = []
        spare: dict[int, str] = {}
        for _ in range(int(node.resources.get("GPU", 0))):
            name = f"{self.stored.current.name}/{node.name}/{secrets.token_hex(4)}"
            index = await self.groups.make(name, node.node_id)
            if index is None:
                break
            if index in wanted:
                found.append(HeldGpu(node=node.name, index=index, group=name))
            else:
                spare[index] = name
            if len(found) == len(wanted):
                break
        await self.groups.remove(spare.values())
        return found, set(spare) | {one.index for one in found}
