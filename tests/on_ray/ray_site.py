"""A Ray cluster for tests of deployments, and what can be done to it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Collection

from scepsy.core.cluster import Cluster
from scepsy.deploy.ray.api import RayApi
from scepsy.deploy.ray.backend import RayBackend
from scepsy.deploy.ray.records import KnownReplica
from scepsy.deploy.ray.state import all_deployments
from scepsy.deploy.ray.state import load as load_deployment
from scepsy.deploy.restarts import RestartPolicy
from scepsy.testing.node_contract import NodeSite
from scepsy.testing.ray_cluster import RayCluster

ENGINES = "-m scepsy.engines.emulated"


class RaySite(NodeSite):
    """The machines of a Ray cluster, and a backend that uses them from outside."""

    def __init__(self, machines: RayCluster) -> None:
        self.machines = machines
        self.cluster: Cluster = machines.cluster
        self.backend = RayBackend(machines.address, restarts=RestartPolicy(hung_after=4.0))
        self.flags = ("--on", "ray", "--address", machines.address)

    async def engines(self) -> Collection[str]:
        """The processes of all engines. One that is about to end may still be there."""
        return {str(pid) for name in self.nodes for pid in self.machines[name].pids(ENGINES)}

    async def kill_replica(self, name: str) -> None:
        os.kill(await self.pid(name), signal.SIGKILL)

    async def hang_replica(self, name: str) -> None:
        os.kill(await self.pid(name), signal.SIGSTOP)

    async def kill_node(self, name: str) -> None:
        self.machines[name].power_off()

    @property
    def nodes(self) -> list[str]:
        """The nodes whose machines are on."""
        return [n.name for n in self.cluster.nodes if self.machines[n.name].is_on]

    async def replica(self, name: str) -> KnownReplica:
        found = await load_deployment(RayApi(), "default")
        assert found is not None
        return next(one for one in found.replicas if one.name == name)

    async def pid(self, name: str) -> int:
        """The process of a replica's engine, as this machine counts it."""
        one = await self.replica(name)
        port = one.url.rpartition(":")[2]
        (pid,) = self.machines[one.replica.slices[0].node].pids(f"--port {port} ")
        return pid

    async def clear(self) -> None:
        """Takes everything down, and waits until no engine is left."""
        for deployment in await all_deployments(RayApi()):
            await self.backend.down(deployment.name, grace=0)

        async def no_engine() -> bool:
            return not await self.engines()

        await eventually(no_engine)


async def eventually(holds: Callable[[], Awaitable[object]], within: float = 180.0) -> None:
    """Waits until it holds."""
    async with asyncio.timeout(within):
        while not await holds():  # noqa: ASYNC110 - it holds in other processes
            await asyncio.sleep(0.2)
