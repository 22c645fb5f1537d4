"""Which GPUs Ray gives out, where it does not give them out by name: by asking for them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from scepsy.deploy.ray.api import RayApi
from scepsy.deploy.ray.groups import PlacementGroups
from scepsy.deploy.ray.state import all_deployments


@dataclass(slots=True)
class GpuProbes:
    """Placement groups of one GPU each, that are made to see which GPU they get, and removed."""

    api: RayApi
    _made: list[str] = field(default_factory=list[str])

    async def free(self, gpus: Mapping[str, int]) -> dict[str, set[int]]:
        """By node id, the numbers of the GPUs that are free or that a deployment of ours holds.

        `gpus` has by node id how many GPUs to ask for. For a moment all free ones are held, so that
        other programs wait for them. Raises Unreachable.
        """
        groups = PlacementGroups(self.api)
        try:
            found = await asyncio.gather(*(self._of(groups, *each) for each in gpus.items()))
        finally:
            await groups.remove(self._made)
        free = dict(zip(gpus, found, strict=True))
        ids = {node.name: node.node_id for node in await self.api.nodes() if node.alive}
        for deployment in await all_deployments(self.api):
            for held in deployment.held:
                if held.node in ids:
                    free.setdefault(ids[held.node], set()).add(held.index)
        return free

    async def _of(self, groups: PlacementGroups, node_id: str, gpus: int) -> set[int]:
        found: set[int] = set()
        for _ in range(gpus):
            name = f"discover/{secrets.token_hex(8)}"
            self._made.append(name)
            index = await groups.make(name, node_id)
            if index is None:
                break
            found.add(index)
        return found
