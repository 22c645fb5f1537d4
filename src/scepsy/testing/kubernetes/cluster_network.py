"""What a cluster's network does for pods: addresses of Services, and names of pods and Services.

Both need `scripts/kubernetes/in_namespace.sh`, where every address of 10.64.0.0/10 is local and
/etc/hosts belongs to the command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from scepsy.deploy.kubernetes.api import ApiRefusal, KubernetesApi
from scepsy.errors import ScepsyError

Json = dict[str, Any]

_PERIOD = 0.5
"""Seconds between two readings of Services and Endpoints."""

_CONNECT_WITHIN = 5.0
"""Seconds in which a connection to a Service finds a pod. A real node follows the endpoints within
milliseconds; here a reading of them may be older than the pod.
"""

_HOSTS = Path("/etc/hosts")


@dataclass(slots=True)
class ClusterNetwork:
    """Forwards connections to Services' addresses, and writes names into /etc/hosts."""

    api: KubernetesApi
    _servers: dict[tuple[str, int], asyncio.Server] = field(
        default_factory=dict[tuple[str, int], asyncio.Server]
    )
    _backends: dict[tuple[str, int], list[tuple[str, int]]] = field(
        default_factory=dict[tuple[str, int], list[tuple[str, int]]]
    )

    async def run(self) -> None:
        """Runs until it is cancelled."""
        original = _read_hosts()
        try:
            while True:
                with suppress(ApiRefusal, ScepsyError):
                    services = (await self.api.get("/api/v1/services"))["items"]
                    endpoints = (await self.api.get("/api/v1/endpoints"))["items"]
                    await self._follow(services, endpoints)
                    _write_hosts(original + "".join(hosts_lines(services, endpoints)))
                await asyncio.sleep(_PERIOD)
        finally:
            for server in self._servers.values():
                server.close()
            _write_hosts(original)

    async def _follow(self, services: Sequence[Json], endpoints: Sequence[Json]) -> None:
        self._backends = dict(backends(services, endpoints))
        for address in self._backends.keys() - self._servers.keys():
            self._servers[address] = await self._listen(address)
        for address in self._servers.keys() - self._backends.keys():
            self._servers.pop(address).close()

    async def _listen(self, address: tuple[str, int]) -> asyncio.Server:
        turn = cycle(range(1 << 20))

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_WITHIN):
                    upstream = await connected()
                await asyncio.gather(_copy(reader, upstream[1]), _copy(upstream[0], writer))
            writer.close()

        async def connected() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            while True:
                ready = self._backends.get(address, [])
                with suppress(OSError):
                    if ready:
                        return await asyncio.open_connection(*ready[next(turn) % len(ready)])
                await asyncio.sleep(_PERIOD / 5)

        return await asyncio.start_server(forward, *address)


def _read_hosts() -> str:
    return _HOSTS.read_text()


def _write_hosts(text: str) -> None:
    _HOSTS.write_text(text)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


def backends(
    services: Sequence[Json], endpoints: Sequence[Json]
) -> Iterator[tuple[tuple[str, int], list[tuple[str, int]]]]:
    """For each port of each Service with an address of its own, the ready pods behind it."""
    found = {_key(one): one for one in endpoints}
    for service in services:
        address = service["spec"].get("clusterIP")
        if address in (None, "", "None") or not service["spec"].get("selector"):
            continue
        for port in service["spec"]["ports"]:
            subsets = found.get(_key(service), {}).get("subsets", ())
            yield (
                (address, port["port"]),
                [
                    (one["ip"], target["port"])
                    for subset in subsets
                    for target in subset.get("ports", ())
                    if target.get("name") == port.get("name")
                    for one in subset.get("addresses", ())
                ],
            )


def hosts_lines(services: Sequence[Json], endpoints: Sequence[Json]) -> Iterator[str]:
    """Lines of /etc/hosts: Services, and the ready pods of headless ones by their host names."""
    for service in services:
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        address = service["spec"].get("clusterIP")
        if address not in (None, "", "None"):
            yield f"{address} {name}.{namespace}.svc {name}.{namespace}.svc.cluster.local\n"
    for one in endpoints:
        domain = f"{one['metadata']['name']}.{one['metadata']['namespace']}.svc"
        for subset in one.get("subsets", ()):
            for address in subset.get("addresses", ()):
                if "hostname" in address:
                    yield f"{address['ip']} {address['hostname']}.{domain}\n"


def _key(one: Json) -> tuple[str, str]:
    return one["metadata"]["namespace"], one["metadata"]["name"]
