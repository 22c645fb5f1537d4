"""Asks the processes of a deployment for their state."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

import aiohttp

from scepsy.core.plan import size_name
from scepsy.deploy.gateway_client import CallCounts, counts
from scepsy.deploy.local.state import Deployment, RunningReplica
from scepsy.deploy.status import ReplicaStatus, State, Status
from scepsy.engines.load import read_load
from scepsy.engines.procfs import is_alive
from scepsy.errors import Unreachable

_TIMEOUT = aiohttp.ClientTimeout(total=3.0)
"""Seconds that a process has to answer. One that takes longer counts as unhealthy."""

_POLL = 0.05
"""Seconds between two readings of a replica's calls in flight."""


async def observe(deployment: Deployment) -> Status:
    """The state of the gateway and of every replica: whether the process runs, whether it answers a
    health check, and the gateway's counts of calls.
    """
    gateway = deployment.gateway
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        found = {} if gateway is None else await _counts(gateway.url)
        states = await asyncio.gather(
            *(_state(session, one.pid, one.born, one.url) for one in deployment.replicas)
        )
        front: State = "dead"
        if gateway is not None:
            front = await _state(session, gateway.pid, gateway.born, gateway.url)
    return Status(
        name=deployment.name,
        gateway=front,
        url="" if gateway is None else gateway.url,
        replicas=tuple(
            _replica_status(one, state, found)
            for one, state in zip(deployment.replicas, states, strict=True)
        ),
    )


async def drain(replicas: Sequence[RunningReplica], *, within: float = 10.0) -> None:
    """Waits until no replica reports a call in flight in its GET /metrics, at most `within`
    seconds.

    A replica that reports no such numbers is not waited for.
    """
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(within),
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
        ):
            await asyncio.gather(*(_drain_one(session, one.url) for one in replicas))


async def _drain_one(session: aiohttp.ClientSession, url: str) -> None:
    while await _in_flight(session, url):  # noqa: ASYNC110
        await asyncio.sleep(_POLL)


async def _in_flight(session: aiohttp.ClientSession, url: str) -> float:
    with suppress(aiohttp.ClientError, TimeoutError, ValueError):
        async with session.get(f"{url}/metrics") as response:
            return read_load(await response.text()).in_flight
    return 0.0


async def _counts(gateway_url: str) -> dict[str, CallCounts]:
    with suppress(Unreachable):
        return {one.replica: one for one in (await counts(gateway_url)).replicas}
    return {}


async def _state(session: aiohttp.ClientSession, pid: int, born: int, url: str) -> State:
    if not is_alive(pid, born):
        return "dead"
    with suppress(aiohttp.ClientError, TimeoutError):
        async with session.get(f"{url}/health") as response:
            if response.status == 200:
                return "ready"
    return "unhealthy"


def _replica_status(
    one: RunningReplica, state: State, found: Mapping[str, CallCounts]
) -> ReplicaStatus:
    replica, count = one.replica, found.get(one.replica.replica)
    return ReplicaStatus(
        replica=replica.replica,
        llm=replica.llm,
        size=size_name(replica.tp, replica.gpu_share),
        gpus=tuple(f"{part.node}/{part.gpu}" for part in replica.slices),
        state=state,
        url=one.url,
        node=replica.slices[0].node,
        pid=one.pid,
        in_flight=None if count is None else count.in_flight,
        served=None if count is None else count.served,
        failed=None if count is None else count.failed,
    )
