"""The gateway process of a deployment: started once, and given new routes after that."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scepsy.deploy.gateway_client import put_routes
from scepsy.deploy.local.journal import ChangeJournal
from scepsy.deploy.local.launching import start_on_free_port
from scepsy.deploy.local.state import Deployment, RunningGateway
from scepsy.deploy.local.state_directory import StateDirectory
from scepsy.engines import EngineOptions, Launch
from scepsy.engines.procfs import is_alive
from scepsy.errors import BadInput
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.store import read_record, write_record


@dataclass(frozen=True, slots=True)
class GatewayProcess:
    """Gateways of deployments in `files`.

    Attributes:
        port: where a gateway listens that is started; 0 picks a free port.
        traces: directory in which it records calls; None records nothing.
    """

    files: StateDirectory
    options: EngineOptions
    port: int = 0
    traces: Path | None = None

    def check(self, current: Deployment) -> None:
        """Raises BadInput where the gateway that runs has another port or other traces than are
        asked for.
        """
        gateway = running_gateway(current)
        if gateway is None:
            return
        config = read_record(self.files.gateway_config(current.name), GatewayConfig)
        wanted = _absolute(self.traces)
        if self.port and self.port != config.port:
            difference = f"listens on port {config.port}, not {self.port}"
        elif wanted is not None and wanted != config.traces:
            difference = f"records traces into {config.traces or 'no directory'}, not {wanted}"
        else:
            return
        raise BadInput(
            f"the gateway of deployment {current.name!r} runs and {difference}; "
            "take the deployment down first, or leave this option out"
        )

    async def route(self, journal: ChangeJournal, routes: Sequence[Route]) -> RunningGateway:
        """Gives the gateway these routes; starts one where none runs.

        Raises Unreachable, EngineFailed or PortInUse.
        """
        running = running_gateway(journal.current)
        if running is None:
            return await self._start(journal, routes)
        await put_routes(running.url, routes)
        return running

    async def _start(self, journal: ChangeJournal, routes: Sequence[Route]) -> RunningGateway:
        host, name = self.options.host, journal.current.name
        path, log = self.files.gateway_config(name), self.files.gateway_log(name)
        parent = ("--exit-with-parent", str(os.getpid())) if self.options.exit_with_parent else ()
        argv = (sys.executable, "-m", "scepsy.gateway", "--config", str(path), *parent)

        def launch_on(port: int) -> Launch:
            config = GatewayConfig(
                host=host, port=port, routes=tuple(routes), traces=_absolute(self.traces)
            )
            write_record(path, config)
            return Launch(argv=argv, url=f"http://{host}:{port}")

        def running(pid: int, born: int, url: str) -> RunningGateway:
            return RunningGateway(pid=pid, born=born, url=url, log=str(log))

        process = await start_on_free_port(
            launch_on,
            port=self.port,
            host=host,
            log_path=log,
            name="gateway",
            on_spawn=lambda pid, born, url: journal.note_gateway(running(pid, born, url)),
        )
        return running(process.pid, process.born, process.url)


def running_gateway(deployment: Deployment) -> RunningGateway | None:
    """The deployment's gateway, None where its process has ended."""
    gateway = deployment.gateway
    return gateway if gateway is not None and is_alive(gateway.pid, gateway.born) else None


def _absolute(traces: Path | None) -> str | None:
    return None if traces is None else str(traces.resolve())
