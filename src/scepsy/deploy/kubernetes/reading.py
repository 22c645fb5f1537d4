"""Reads what a cluster has of a deployment: engines, nodes, gateways and their counts of calls."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from scepsy.deploy.gateway_client import GatewayCounts
from scepsy.deploy.kubernetes.api import ApiRefusal, Json
from scepsy.deploy.kubernetes.fields import part
from scepsy.deploy.kubernetes.gateway_objects import (
    ADMIN_PORT,
    admin_secret_name,
    gateway_name,
    key_in,
    selector,
    table_name,
)
from scepsy.deploy.kubernetes.objects import labels
from scepsy.deploy.kubernetes.objects.options import PORT as ENGINE_PORT
from scepsy.deploy.kubernetes.observing import ClusterView, is_ready, lost_nodes
from scepsy.deploy.kubernetes.refusals import explained
from scepsy.deploy.kubernetes.slices import RoutingTable, read_table
from scepsy.deploy.kubernetes.writing import Objects
from scepsy.errors import ScepsyError, Unreachable
from scepsy.gateway.access.admin_access import KEY_HEADER

_CHECKS = 3
_CHECK_TIMEOUT = 3.0
_CHECK_PAUSE = 0.5
"""Health checks that an engine must miss in a row, and seconds for each and between them."""


@dataclass(frozen=True, slots=True)
class ClusterReading:
    """Reads one deployment."""

    objects: Objects

    async def view(self) -> ClusterView:
        """The engines, the nodes that do not answer, and what the gateway was told."""
        engines = _text(labels.engines(self.objects.options))
        deployments, stateful, pods, nodes, table = await asyncio.gather(
            self.objects.list("apps/v1", "Deployment", engines),
            self.objects.list("apps/v1", "StatefulSet", engines),
            self.objects.list("v1", "Pod", engines),
            self.nodes(),
            self.table(),
        )
        return ClusterView([*deployments, *stateful], pods, lost_nodes(nodes), table)

    async def silent(self, view: ClusterView) -> frozenset[str]:
        """The replicas that the control plane counts as ready and that do not answer a health
        check: it takes a while until a probe has failed often enough.
        """
        ready = [one for one in view.seen if one.ready and not view.is_lost(one)]
        answers = await asyncio.gather(*(self._answers(one.pod) for one in ready))
        return frozenset(
            one.replica.replica for one, good in zip(ready, answers, strict=True) if not good
        )

    async def _answers(self, pod: Json | None) -> bool:
        assert pod is not None
        meta = pod["metadata"]
        place = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}:{ENGINE_PORT}/proxy"
        for _ in range(_CHECKS):
            try:
                async with asyncio.timeout(_CHECK_TIMEOUT):
                    await self.objects.api.text(f"{place}/health")
                return True
            except (ApiRefusal, Unreachable, TimeoutError):
                await asyncio.sleep(_CHECK_PAUSE)
        return False

    async def table(self) -> RoutingTable:
        name = table_name(self.objects.options)
        found = await self.objects.find("v1", "ConfigMap", name)
        return read_table(found) or RoutingTable()

    async def nodes(self) -> list[Json]:
        """All nodes; none where the user may not read them, as in a namespace of one's own."""
        try:
            listed = await self.objects.api.get("/api/v1/nodes")
        except ApiRefusal as refusal:
            if refusal.status == 403:
                return []
            raise explained(refusal, "nodes") from refusal
        return listed["items"]

    async def gateway_pods(self) -> list[Json]:
        return await self.objects.list("v1", "Pod", _text(selector(self.objects.options)))

    async def gateway_url(self) -> str:
        """The address of the gateway's Service, "" where there is none."""
        name = gateway_name(self.objects.options)
        service = await self.objects.find("v1", "Service", name)
        if service is None:
            return ""
        spec = service["spec"]
        return f"http://{spec['clusterIP']}:{spec['ports'][0]['port']}"

    async def counts(self) -> dict[str, GatewayCounts]:
        """By gateway pod, its counts of calls, asked through the API server, so that a deployer
        needs no way into the cluster's network. A gateway that does not answer is left out.
        """
        key = await self.admin_key()
        pods = [one for one in await self.gateway_pods() if part(one, "status").get("podIP")]
        found = await asyncio.gather(*(self._counts(one, key or "") for one in pods))
        return {
            pod["metadata"]["name"]: one
            for pod, one in zip(pods, found, strict=True)
            if one is not None
        }

    async def ready_gateways(self) -> list[str]:
        return [one["metadata"]["name"] for one in await self.gateway_pods() if is_ready(one)]

    async def in_flight(self, names: Collection[str]) -> dict[str, int]:
        """The calls in flight at these replicas, over all gateways, for each that has any."""
        total: dict[str, int] = {}
        for one in (await self.counts()).values():
            for name, calls in one.at(names).items():
                total[name] = total.get(name, 0) + calls
        return total

    async def admin_key(self) -> str | None:
        """The key of the gateway's admin port; None where there is no Secret with one, or the user
        may not read it.
        """
        try:
            secret = await self.objects.find(
                "v1", "Secret", admin_secret_name(self.objects.options)
            )
        except ScepsyError:
            return None
        return key_in(secret)

    async def _counts(self, pod: Json, key: str) -> GatewayCounts | None:
        meta = pod["metadata"]
        place = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}:{ADMIN_PORT}/proxy"
        try:
            text = await self.objects.api.text(f"{place}/scepsy/status", {KEY_HEADER: key})
            return msgspec.json.decode(text, type=GatewayCounts)
        except (ApiRefusal, Unreachable, msgspec.MsgspecError):
            return None


def _text(wanted: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in wanted.items())
