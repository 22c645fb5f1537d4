"""A gateway inside a cluster follows what its deployer decided and which pods are ready."""

from __future__ import annotations

import asyncio
import logging

from scepsy.deploy.kubernetes.api import ApiRefusal, connected
from scepsy.deploy.kubernetes.mirror import Mirror
from scepsy.deploy.kubernetes.resources import ApiVersions
from scepsy.deploy.kubernetes.slices import read_table, ready_pods, routes
from scepsy.errors import BadInput, NotFound, Unreachable, first_of
from scepsy.gateway.governed import GovernedGateway

_log = logging.getLogger(__name__)


async def follow(
    gateway: GovernedGateway, *, namespace: str | None, deployment: str, table: str
) -> None:
    """Changes the gateway's routes with the cluster until it is cancelled.

    Args:
        namespace: of the deployment; None for this pod's own.
        deployment: the value of the label app.kubernetes.io/instance of its Services.
        table: name of the ConfigMap with the routing table.

    Raises:
        BadInput: this pod's service account may not read what it must.
        NotFound: the cluster has no EndpointSlices.
    """
    async with connected(namespace=namespace) as api:
        versions = ApiVersions.of(await api.get("/apis"))
        path = versions.slices_path(api.namespace)
        if path is None:
            raise NotFound(f"the cluster at {api.url} offers no EndpointSlices that we can read")
        changed = asyncio.Event()
        maps = Mirror(
            api,
            f"/api/v1/namespaces/{api.namespace}/configmaps",
            {"fieldSelector": f"metadata.name={table}"},
            changed,
        )
        selector = {"labelSelector": f"app.kubernetes.io/instance={deployment}"}
        slices = Mirror(api, path, selector, changed)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(maps.follow())
                tasks.create_task(slices.follow())
                tasks.create_task(_apply(gateway, maps, slices, table, changed))
        except* ApiRefusal as refusals:
            found = next(one for one in refusals.exceptions if isinstance(one, ApiRefusal))
            raise BadInput(
                f"the gateway's service account may not follow namespace {api.namespace}: "
                f"{found.message}"
            ) from None
        except* Unreachable as errors:
            raise first_of(errors) from None


async def _apply(
    gateway: GovernedGateway, maps: Mirror, slices: Mirror, table: str, changed: asyncio.Event
) -> None:
    last = None
    while True:
        await changed.wait()
        changed.clear()
        try:
            wanted = read_table(maps.objects.get(table))
        except BadInput as error:
            _log.error("%s", error)
            continue
        if wanted is None or not slices.read:
            continue
        now = (routes(wanted, ready_pods(slices.objects.values())), wanted.closed, wanted.expected)
        if now == last:
            continue
        last = now
        try:
            gateway.replace_routes(now[0], waiting=now[2])
        except BadInput as error:
            _log.error("%s", error)
            continue
        if wanted.closed:
            gateway.close()
        names = ", ".join(one.replica for one in now[0]) or "none"
        _log.info("epoch %d; routes to: %s", wanted.epoch, names)
