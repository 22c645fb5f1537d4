"""One deployer at a time changes a deployment: it holds a Lease in the cluster."""

from __future__ import annotations

import asyncio
import getpass
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from scepsy.deploy.kubernetes.api import ApiRefusal, Json, KubernetesApi
from scepsy.deploy.kubernetes.refusals import explained
from scepsy.errors import Conflict, ScepsyError

SECONDS = 15.0
"""A holder that has not renewed the Lease for so long does not live any more."""

_RENEWAL = 1.0
"""Seconds between two renewals."""


@asynccontextmanager
async def held(
    api: KubernetesApi, path: str, meta: Json, *, keep: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[None]:
    """Holds the Lease at `path`, whose metadata is `meta`, while the block runs. Afterwards it is
    given back, or deleted where `keep` says that nothing is left for which to have one.

    A Lease that somebody holds is watched until its holder renews it or `SECONDS` have passed, by
    this machine's own clock. Where it cannot be renewed in time, the block is cancelled.

    Raises Conflict where another deployer holds it, or takes it while the block runs.
    """
    me = f"{getpass.getuser()}@{socket.gethostname()} pid {os.getpid()} {secrets.token_hex(3)}"
    lease = await _taken(api, path, meta, me)
    task = asyncio.current_task()
    lost: list[ScepsyError] = []

    async def renew() -> None:
        nonlocal lease
        last = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(_RENEWAL)
            try:
                lease = await _put(api, path, lease, me)
                last = asyncio.get_running_loop().time()
            except ApiRefusal as refusal:
                lost.append(explained(refusal, f"Lease {meta['name']}"))
            except ScepsyError as error:
                if asyncio.get_running_loop().time() - last > SECONDS - _RENEWAL:
                    lost.append(error)
            if lost:
                assert task is not None
                task.cancel()
                return

    renewal = asyncio.create_task(renew())
    try:
        yield
    except asyncio.CancelledError:
        if lost:
            raise lost[0] from None
        raise
    finally:
        renewal.cancel()
        await asyncio.wait([renewal])
        if not lost:
            with suppress(ApiRefusal, ScepsyError):
                await _give_back(api, path, lease, keep=await keep())


async def _taken(api: KubernetesApi, path: str, meta: Json, me: str) -> Json:
    body: Json = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta}
    body["spec"] = _spec(me)
    folder = path.rpartition("/")[0]
    while True:
        try:
            return await api.post(folder, body)
        except ApiRefusal as refusal:
            if refusal.reason != "AlreadyExists":
                raise explained(refusal, f"Lease {meta['name']}") from refusal
        try:
            return await _taken_over(api, path, meta, me)
        except ApiRefusal as refusal:
            if refusal.status != 404:  # its holder has taken the deployment down meanwhile
                raise explained(refusal, f"Lease {meta['name']}") from refusal


async def _taken_over(api: KubernetesApi, path: str, meta: Json, me: str) -> Json:
    """The Lease, which was there, once its holder does not live any more. Raises Conflict where it
    does.
    """
    lease = await api.get(path)
    until = asyncio.get_running_loop().time() + SECONDS
    while (holder := lease["spec"].get("holderIdentity")) and holder != me:
        before = lease["spec"].get("renewTime")
        await asyncio.sleep(0.25)
        lease = await api.get(path)
        if lease["spec"].get("holderIdentity") and lease["spec"].get("renewTime") != before:
            raise Conflict(
                f"another command is changing deployment {meta['name'].removesuffix('-scepsy')!r}: "
                f"{lease['spec']['holderIdentity']}; wait until it has ended"
            )
        if asyncio.get_running_loop().time() > until:
            break
    return await _put(api, path, lease, me)


async def _give_back(api: KubernetesApi, path: str, lease: Json, *, keep: bool) -> None:
    if keep:
        await _put(api, path, lease, "")
        return
    version = lease["metadata"]["resourceVersion"]
    await api.delete(path, {"preconditions": {"resourceVersion": version}})


async def _put(api: KubernetesApi, path: str, lease: Json, holder: str) -> Json:
    """Writes the Lease unless somebody else has written it since it was read."""
    body: Json = {**lease, "spec": {**lease["spec"], **_spec(holder)}}
    return await api.put(path, body)


def _spec(holder: str) -> Json:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"holderIdentity": holder, "leaseDurationSeconds": int(SECONDS), "renewTime": now}
