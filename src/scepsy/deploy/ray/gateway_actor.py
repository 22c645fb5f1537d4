"""The actor that owns a deployment's gateway process and tells it its routes."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path

import msgspec

from scepsy.deploy import gateway_client
from scepsy.deploy.ray.api import RayApi, node_address
from scepsy.deploy.ray.loop_thread import LoopThread
from scepsy.deploy.ray.node_folder import log_path
from scepsy.deploy.ray.supervised import SupervisedProcess
from scepsy.deploy.restarts import RestartPolicy
from scepsy.engines import Launch
from scepsy.errors import Unreachable
from scepsy.gateway.access.admin_access import AdminAccess, read_access
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.store import write_record


def gateway_key(deployment: str) -> str:
    """The key of the gateway's configuration in the cluster's store."""
    return f"gateway/{deployment}"


class GatewayActor:
    """Made by Ray with the gateway's configuration as JSON. Configuration and routes are kept in
    the cluster, so that a restarted actor starts the gateway at the same port with the same routes.
    """

    def __init__(self, deployment: str, config: bytes, policy: bytes) -> None:
        self._deployment = deployment
        self._api = RayApi()
        self._thread = LoopThread()
        kept = self._thread.call(self._api.get(gateway_key(deployment)))
        self._config = msgspec.json.decode(kept or config, type=GatewayConfig)
        self._expected: frozenset[str] = frozenset()
        self._log = log_path(deployment, "gateway")
        self._admin_file = self._log.with_suffix(".admin.json")
        self._process = SupervisedProcess(
            name="gateway",
            log=self._log,
            policy=msgspec.json.decode(policy, type=RestartPolicy),
            launch_on=self._launch,
            host="127.0.0.1",
            port=self._config.port,
        )
        self._running = self._thread.begin(self._process.run())

    def report(self) -> bytes:
        """A `ProcessReport` as JSON; its URL is the one for callers on other machines."""
        told = self._process.report()
        url = f"http://{node_address()}:{self._config.port}" if self._config.port else ""
        return msgspec.json.encode(msgspec.structs.replace(told, url=url))

    def route(self, routes: bytes, expected: Collection[str], fenced: Collection[str]) -> None:
        """Replaces the routes: of the running gateway, and of every later one. Calls at replicas
        that are `fenced` are taken away from them. Raises Unreachable.
        """
        self._config = msgspec.structs.replace(
            self._config, routes=msgspec.json.decode(routes, type=tuple[Route, ...])
        )
        self._expected = frozenset(expected)
        self._thread.call(self._put(frozenset(fenced)))

    def counts(self) -> bytes:
        """The gateway's counts of calls as JSON. Raises Unreachable."""
        return msgspec.json.encode(self._thread.call(gateway_client.counts(self._access)))

    def close(self) -> None:
        """See `gateway_client.close`. Raises Unreachable."""
        self._thread.call(gateway_client.close(self._access))

    def stop(self) -> None:
        """Stops the gateway's process for good."""
        self._thread.end(self._running)

    @property
    def _local(self) -> str:
        return f"http://127.0.0.1:{self._config.port}"

    @property
    def _access(self) -> AdminAccess:
        access = read_access(self._admin_file)
        if access is None:
            raise Unreachable("the gateway does not run now")
        return access

    async def _put(self, fenced: frozenset[str]) -> None:
        await self._api.put(gateway_key(self._deployment), msgspec.json.encode(self._config))
        if self._process.report().state in ("ready", "unhealthy"):
            await gateway_client.put_routes(self._access, self._config.routes, self._expected)
            if fenced:
                await gateway_client.fence(self._access, fenced)

    def _launch(self, port: int) -> Launch:
        self._config = msgspec.structs.replace(self._config, port=port)
        self._process.port = port
        self._admin_file.unlink(missing_ok=True)  # of a gateway that was killed
        admin = msgspec.structs.replace(self._config.admin, file=str(self._admin_file))
        path: Path = self._log.with_suffix(".json")
        write_record(path, msgspec.structs.replace(self._config, admin=admin))
        argv = (sys.executable, "-m", "scepsy.gateway", "--config", str(path))
        argv += ("--exit-with-parent", str(os.getpid()))
        return Launch(argv=argv, url=self._local)
