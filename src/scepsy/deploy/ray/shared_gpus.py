"""Starts and ends the MPS daemons of the GPUs that engines of a deployment share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from scepsy.core.plan import Replica
from scepsy.deploy.ray import names
from scepsy.deploy.ray.api import ActorGone, ActorOptions, ActorSilent, RayApi
from scepsy.deploy.ray.mps import needs_mps
from scepsy.deploy.ray.mps_actor import MpsActor
from scepsy.deploy.ray.nodes import alive
from scepsy.deploy.ray.records import RayDeployment
from scepsy.deploy.ray.state import all_deployments
from scepsy.errors import EngineFailed

_READY_WITHIN = 60.0
"""Seconds until a daemon must be there."""


@dataclass(frozen=True, slots=True)
class SharedGpus:
    """The daemons on the cluster, one for each shared GPU, whichever deployment uses it."""

    api: RayApi

    async def begin(self, replica: Replica, current: RayDeployment) -> None:
        """Sees to it that the daemon of the replica's GPU runs, where it needs one. Raises
        EngineFailed where it does not come up.
        """
        if not shares(replica, current):
            return
        part = replica.slices[0]
        node = alive(await self.api.nodes())[part.node]
        here = {"label_selector": {"ray.io/node-id": node.node_id}}
        options = ActorOptions(names.mps_name(part.node, part.gpu), {}, here)
        handle = await self.api.create(MpsActor, options, part.gpu)
        why = "its actor does not run"
        try:
            async with asyncio.timeout(_READY_WITHIN):
                while True:
                    try:
                        ready, why = await self.api.ask(handle, "report", within=5.0)
                    except ActorSilent:
                        continue
                    if ready:
                        return
                    await asyncio.sleep(0.5)
        except (TimeoutError, ActorGone):
            raise EngineFailed(
                f"{replica.replica}: the MPS daemon of GPU {part.node}/{part.gpu} does not run "
                f"({why}); install NVIDIA's MPS on the node, or plan with whole GPUs (--shares 1)"
            ) from None

    async def end(self, replica: Replica) -> None:
        """Ends the daemon of the replica's GPU where no other replica needs it."""
        part = replica.slices[0]
        for deployment in await all_deployments(self.api):
            for other in deployment.replicas:
                there = {(one.node, one.gpu) for one in other.replica.slices}
                if other.replica != replica and (part.node, part.gpu) in there:
                    return
        await self.api.kill(names.mps_name(part.node, part.gpu))


def shares(replica: Replica, current: RayDeployment) -> bool:
    """Whether the replica's engine shares a real GPU."""
    llms = (*current.plan.llms, *current.leaving)
    llm = next((one for one in llms if one.name == replica.llm), None)
    gpu_type = current.plan.cluster.nodes[0].gpu_type
    return llm is not None and needs_mps(replica, llm.engine, gpu_type)
