"""Asks the processes of a deployment for their state, and changes the gateway's routes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

import aiohttp
import msgspec

from scepsy.core.plan import size_name
from scepsy.deploy.state import Deployment, ReplicaStatus, RunningReplica, State, Status
from scepsy.engines.load import read_load
from scepsy.engines.procfs import is_alive
from scepsy.errors import Unreachable
from scepsy.gateway.config import Route

_TIMEOUT = aiohttp.ClientTimeout(total=3.0)
"""Seconds that a process has to answer. One that takes longer counts as unhealthy."""

_POLL = 0.05
"""Seconds between two readings of a replica's calls in flight."""


class _Counts(msgspec.Struct):
    """The calls of one replica in the gateway's /scepsy/status. Its other fields are not needed."""

    replica: str
    in_flight: int
    served: int
    failed: int


class _GatewayStatus(msgspec.Struct):
    replicas: list[_Counts]


async def observe(deployment: Deployment) -> Status:
    """The state of the gateway and of every replica: whether the process runs, whether it answers a
    health check, and the gateway's counts of calls.
    """
    gateway = deployment.gateway
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        counts = {} if gateway is None else await _counts(session, gateway.url)
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
            _replica_status(one, state, counts)
            for one, state in zip(deployment.replicas, states, strict=True)
        ),
    )


async def put_routes(gateway_url: str, routes: Sequence[Route]) -> None:
    """Replaces the routes of a running gateway.

    Raises Unreachable where the gateway does not answer or refuses them.
    """
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.put(
                f"{gateway_url}/scepsy/routes", data=msgspec.json.encode(routes)
            ) as response,
        ):
            if response.status != 200:
                raise Unreachable(
                    f"the gateway at {gateway_url} refused new routes: {await response.text()}"
                )
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unreachable(f"the gateway at {gateway_url} does not answer: {error}") from error


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


async def _counts(session: aiohttp.ClientSession, url: str) -> dict[str, _Counts]:
    with suppress(aiohttp.ClientError, TimeoutError, msgspec.MsgspecError):
        async with session.get(f"{url}/scepsy/status") as response:
            status = msgspec.json.decode(await response.read(), type=_GatewayStatus)
            return {one.replica: one for one in status.replicas}
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
    one: RunningReplica, state: State, counts: Mapping[str, _Counts]
) -> ReplicaStatus:
    replica, count = one.replica, counts.get(one.replica.replica)
    return ReplicaStatus(
        replica=replica.replica,
        llm=replica.llm,
        size=size_name(replica.tp, replica.gpu_share),
        gpus=tuple(f"{part.node}/{part.gpu}" for part in replica.slices),
        state=state,
        pid=one.pid,
        url=one.url,
        in_flight=None if count is None else count.in_flight,
        served=None if count is None else count.served,
        failed=None if count is None else count.failed,
    )
