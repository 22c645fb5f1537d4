"""Detached placement groups of one GPU each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from scepsy.deploy.ray.api import RayApi, ray_module

_MADE_WITHIN = 15
"""Seconds after which a group that Ray has not made counts as one that it cannot make."""


@dataclass(frozen=True, slots=True)
class PlacementGroups:
    """The groups of the cluster that this process is connected to."""

    api: RayApi

    async def make(self, name: str, node_id: str) -> int | None:
        """Makes a group of one GPU of this node, and returns the GPU's index. None, and no group,
        where no GPU is free. Raises Unreachable.
        """
        util = ray_module("ray.util")

        def made() -> bool:
            group = util.placement_group(
                [{"GPU": 1}],
                name=name,
                lifetime="detached",
                bundle_label_selector=[{"ray.io/node-id": node_id}],
            )
            return bool(group.wait(_MADE_WITHIN))

        if not await self.api.in_thread(made):
            await self.remove([name])
            return None
        return await self.api.in_thread(lambda: self._probe(name))

    async def remove(self, names: Iterable[str]) -> None:
        """Releases the GPUs of these groups; those that are gone already are left out."""
        util = ray_module("ray.util")

        def removed(name: str) -> None:
            try:
                util.remove_placement_group(util.get_placement_group(name))
            except ValueError:
                return

        await asyncio.gather(*(self.api.in_thread(lambda one=name: removed(one)) for name in names))

    def _probe(self, name: str) -> int:
        """The index of the group's GPU on its node, as Ray tells it a task that runs there."""
        ray = ray_module()
        task = ray.remote(visible_gpus).options(
            num_cpus=0, num_gpus=0.01, scheduling_strategy=strategy(name)
        )
        return int(ray.get(task.remote(), timeout=60)[0])


def strategy(name: str) -> Any:
    """Ray's scheduling strategy for the group of this name."""
    util = ray_module("ray.util")
    scheduling = ray_module("ray.util.scheduling_strategies")
    return scheduling.PlacementGroupSchedulingStrategy(
        placement_group=util.get_placement_group(name), placement_group_bundle_index=0
    )


def visible_gpus() -> list[str]:
    """Runs in Ray: the GPUs that a task was given."""
    return ray_module().get_runtime_context().get_accelerator_ids()["GPU"]
