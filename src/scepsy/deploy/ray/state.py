"""A deployment's state in the cluster's store, written after every step."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import msgspec

from scepsy.deploy.ray.api import RayApi
from scepsy.deploy.ray.records import KnownReplica, RayDeployment

_PREFIX = "deployment/"


@dataclass(slots=True)
class StoredDeployment:
    """`current` is what was written last. Only the deployment's controller writes it."""

    api: RayApi
    current: RayDeployment
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def change(self, **fields: Any) -> None:
        """Replaces fields of the deployment. Raises Unreachable."""
        self.current = msgspec.structs.replace(self.current, **fields)
        async with self._turn:  # so that of two writings at once the newer state stays
            await self.api.put(_PREFIX + self.current.name, msgspec.json.encode(self.current))

    async def put(self, one: KnownReplica) -> None:
        """Notes a replica, in the place of an earlier one of its name."""
        others = tuple(each for each in self.current.replicas if each.name != one.name)
        await self.change(replicas=(*others, one))

    async def change_each(self, names: Collection[str], **fields: Any) -> None:
        """Replaces fields of these replicas."""
        if names:
            await self.change(
                replicas=tuple(
                    msgspec.structs.replace(one, **fields) if one.name in names else one
                    for one in self.current.replicas
                )
            )

    async def forget(self, names: Collection[str]) -> None:
        """Removes these replicas from the deployment."""
        await self.change(
            replicas=tuple(one for one in self.current.replicas if one.name not in names)
        )

    async def remove(self) -> None:
        """Forgets the deployment."""
        await self.api.delete(_PREFIX + self.current.name)

    def find(self, name: str) -> KnownReplica | None:
        """The replica of this name."""
        return next((one for one in self.current.replicas if one.name == name), None)


async def load(api: RayApi, name: str) -> RayDeployment | None:
    """The deployment as it was written last; None where there is none. Raises Unreachable."""
    found = await api.get(_PREFIX + name)
    return None if found is None else msgspec.json.decode(found, type=RayDeployment)


async def all_deployments(api: RayApi) -> list[RayDeployment]:
    """Every deployment of the cluster. Raises Unreachable."""
    keys = await api.keys(_PREFIX)
    loaded = [await load(api, key.removeprefix(_PREFIX)) for key in keys]
    return [one for one in loaded if one is not None]
