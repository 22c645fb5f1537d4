"""The gateway process of a deployment: started once, given new routes after that, and replaced
where it has ended or hangs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from scepsy.deploy.gateway_client import GatewayCounts, counts, put_routes
from scepsy.deploy.local.deployment_file import DeploymentFile
from scepsy.deploy.local.health import PATIENCE, health
from scepsy.deploy.local.launching import start_on_free_port
from scepsy.deploy.local.marks import mark
from scepsy.deploy.local.state import Deployment, RunningGateway
from scepsy.deploy.local.state_directory import StateDirectory
from scepsy.deploy.routes import key_variables
from scepsy.engines import Launch
from scepsy.engines.process import stop_pid
from scepsy.engines.procfs import is_alive
from scepsy.errors import BadInput, Unreachable
from scepsy.gateway.access.admin_access import AdminAccess, read_access
from scepsy.gateway.config import GRACE, AdminConfig, GatewayConfig, Route
from scepsy.store import write_record


@dataclass(frozen=True, slots=True)
class GatewayProcess:
    """The gateway of the deployment in `file`, which says its port and its trace directory."""

    file: DeploymentFile

    @property
    def access(self) -> AdminAccess | None:
        """The running gateway's admin address and key; None where none runs."""
        return gateway_access(self.file.files, self.file.current)

    async def counts(self) -> GatewayCounts | None:
        """The running gateway's counts of calls; None where none runs or answers."""
        access = self.access
        if access is None:
            return None
        try:
            return await counts(access)
        except Unreachable:
            return None

    async def route(self, routes: Sequence[Route], expected: Collection[str]) -> None:
        """Gives the gateway these routes. Starts one where none runs, and replaces one that does
        not answer. Raises Unreachable, EngineFailed or PortInUse.
        """
        if await self.well() is None:
            await self._start(routes)
        access = self.access
        if access is None:
            raise Unreachable("the gateway has ended just after its start; see its log")
        await put_routes(access, routes, expected)

    async def well(self) -> RunningGateway | None:
        """The gateway; None where it has ended, or hung and was stopped for that. One of an earlier
        version, which nobody can govern, is stopped as well.
        """
        running = running_gateway(self.file.current)
        if running is None:
            return None
        well = await health(running.pid, running.born, running.url, checks=PATIENCE)
        if well == "ready" and self.access is not None:
            return running
        await stop_pid(running.pid, running.born, grace=0)
        return None

    async def stop(self) -> None:
        """Stops the gateway."""
        gateway = self.file.current.gateway
        if gateway is not None:
            await stop_pid(gateway.pid, gateway.born)

    async def _start(self, routes: Sequence[Route]) -> None:
        current, files = self.file.current, self.file.files
        host, name = current.options.host, current.name
        path, log = files.gateway_config(name), files.gateway_log(name)
        parent = ("--exit-with-parent", str(os.getpid()))
        argv = (sys.executable, "-m", "scepsy.gateway", "--config", str(path))
        argv += parent if current.options.exit_with_parent else ()

        def launch_on(port: int) -> Launch:
            config = GatewayConfig(
                host=host,
                port=port,
                routes=tuple(routes),
                traces=current.traces,
                grace=GRACE,
                admin=AdminConfig(file=str(files.gateway_admin(name))),
                key_variables=key_variables(current.plan),
            )
            write_record(path, config)
            files.gateway_admin(name).unlink(missing_ok=True)  # of a gateway that was killed
            return Launch(argv=argv, url=f"http://{host}:{port}")

        def note(pid: int, born: int, url: str) -> None:
            port = int(url.rpartition(":")[2])
            gateway = RunningGateway(pid=pid, born=born, url=url, log=str(log))
            self.file.change(gateway=gateway, port=port)

        await start_on_free_port(
            launch_on,
            port=current.port,
            host=host,
            log_path=log,
            name="gateway",
            marked=mark(files.folder(name)),
            on_spawn=note,
        )


def check_gateway(current: Deployment, port: int, traces: Path | None) -> None:
    """Raises BadInput where the gateway that runs has another port or other traces than are asked
    for.
    """
    if running_gateway(current) is None:
        return
    wanted = absolute(traces)
    if port and port != current.port:
        difference = f"listens on port {current.port}, not {port}"
    elif wanted is not None and wanted != current.traces:
        difference = f"records traces into {current.traces or 'no directory'}, not {wanted}"
    else:
        return
    raise BadInput(
        f"the gateway of deployment {current.name!r} runs and {difference}; "
        "take the deployment down first, or leave this option out"
    )


def running_gateway(deployment: Deployment) -> RunningGateway | None:
    """The deployment's gateway, None where its process has ended."""
    gateway = deployment.gateway
    return gateway if gateway is not None and is_alive(gateway.pid, gateway.born) else None


def gateway_access(files: StateDirectory, deployment: Deployment) -> AdminAccess | None:
    """The admin address and key of the deployment's gateway; None where none runs, or one of an
    earlier version, which has none.
    """
    if running_gateway(deployment) is None:
        return None
    return read_access(files.gateway_admin(deployment.name))


def absolute(traces: Path | None) -> str | None:
    return None if traces is None else str(traces.resolve())
