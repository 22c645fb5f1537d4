"""A Ray cluster for tests of deployments, and what can be done to it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from scepsy.core.cluster import Cluster
from scepsy.deploy.ray.api import RayApi
from scepsy.deploy.ray.backend import RayBackend
from scepsy.deploy.ray.records import KnownReplica
from scepsy.deploy.ray.state import all_deployments
from scepsy.deploy.ray.state import load as load_deployment
from scepsy.deploy.restarts import RestartPolicy
from scepsy.testing.deploy_contract import DeploySite
from scepsy.testing.ray_cluster import RayCluster

ENGINES = "-m scepsy.engines.emulated"


class RaySite(DeploySite):
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


async def whole_call(url: str, llm: str, tokens: int) -> str | None:
    """One completion, answered in one piece. Returns why it failed, None where it did not."""
    body = {"model": llm, "prompt": "why", "max_tokens": tokens, "ignore_eos": True}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300)) as session,
            session.post(f"{url}/v1/completions", json=body) as answer,
        ):
            text = await answer.text()
            return None if answer.status == 200 else f"{answer.status}: {text[:300]}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return repr(error)


@dataclass
class Load:
    """What callers got: the longest call in seconds, and why calls failed."""

    complete: int = 0
    longest: float = 0.0
    failed: list[str] = field(default_factory=list)

    def check(self, what: str) -> None:
        """No call may have failed. The figures are printed."""
        print(f"{what}: {self.complete} calls, the longest {self.longest:.1f} s")  # noqa: T201
        assert self.complete
        assert self.failed == []


@asynccontextmanager
async def load(url: str, callers: int = 4, tokens: int = 16) -> AsyncGenerator[Load]:
    """Callers that call `m` again and again while the block runs, and finish their last calls."""
    told, over = Load(), asyncio.Event()

    async def caller() -> None:
        while not over.is_set():
            begun = time.monotonic()
            why = await whole_call(url, "m", tokens)
            told.longest = max(told.longest, time.monotonic() - begun)
            if why is None:
                told.complete += 1
            else:
                told.failed.append(why)
                await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(callers):
            tasks.create_task(caller())
        try:
            yield told
        finally:
            over.set()
