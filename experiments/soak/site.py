"""The processes of a soak: emulated engines, and gateways in front of all of them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scepsy.core.llm import LlmSpec
from scepsy.deploy.gateway_client import counts
from scepsy.engines import (
    EngineOptions,
    EngineProcess,
    EngineResources,
    Launch,
    engine_for,
    free_port,
    start,
    stop,
)
from scepsy.errors import Unreachable
from scepsy.gateway.access.admin_access import read_access
from scepsy.gateway.config import AdminConfig, GatewayConfig, Route
from scepsy.store import write_record

LLM = "m"
SEATS = 4  # sequences that one engine decodes at once; small, so that the CPU is not the bottleneck
SPEC = LlmSpec(
    name=LLM,
    parameters=8e9,
    layers=32,
    hidden=4096,
    kv_heads=8,
    head_dim=128,
    max_sequences=SEATS,
)
DRAIN = 30.0  # seconds of grace of a gateway that gets SIGTERM


@dataclass(slots=True)
class Server:
    """One process that is ended and started again at the same port."""

    name: str
    launch: Launch
    folder: Path
    process: EngineProcess | None = None
    starts: int = 0

    async def start(self) -> None:
        log = self.folder / f"{self.name}-{self.starts}.log"
        self.process = await start(self.launch, log_path=log, name=self.name)
        self.starts += 1

    async def kill(self) -> None:
        """SIGKILL, as when the kernel runs out of memory."""
        assert self.process is not None
        self.signal(signal.SIGKILL)
        while self.process.alive:  # noqa: ASYNC110 - only polling sees the end of a process
            await asyncio.sleep(0.01)
        _reap(self.process.pid)

    async def end(self) -> None:
        """SIGTERM; returns when the process has ended."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.signal(signal.SIGCONT)
            await stop(self.process, grace=DRAIN + 10)

    def signal(self, which: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, which)

    @property
    def url(self) -> str:
        return self.launch.url


@dataclass(frozen=True, slots=True)
class Usage:
    """What a gateway's process holds. `seconds` since the soak began."""

    seconds: float
    gateway: str
    start: int
    rss_mb: float
    descriptors: int
    sockets: int
    in_flight: int


@dataclass(slots=True)
class Site:
    """All processes. Gateways record into one directory each."""

    folder: Path
    engines: list[Server] = field(default_factory=list[Server])
    gateways: list[Server] = field(default_factory=list[Server])

    @staticmethod
    def of(folder: Path, engines: int, gateways: int) -> Site:
        site = Site(folder)
        for number in range(engines):
            launch = engine_for("emulated").launch(
                SPEC,
                EngineResources(gpu_type="h100", gpu_memory=80e9),
                port=free_port(),
                options=EngineOptions(exit_with_parent=True, seed=number),
            )
            site.engines.append(Server(f"{LLM}-{number}", launch, folder))
        routes = tuple(Route(llm=LLM, replica=one.name, url=one.url) for one in site.engines)
        for number in range(gateways):
            site.gateways.append(_gateway(folder, f"gateway-{number}", routes))
        return site

    async def start(self) -> None:
        for one in (*self.engines, *self.gateways):
            await one.start()

    async def end(self) -> None:
        for one in (*self.gateways, *self.engines):
            await one.end()

    def traces(self, gateway: Server) -> Path:
        return self.folder / f"{gateway.name}-traces"

    async def usage(self, gateway: Server, seconds: float) -> Usage | None:
        """None while it does not run."""
        process = gateway.process
        if process is None or not process.alive:
            return None
        try:
            access = read_access(self.folder / f"{gateway.name}.admin")
            if access is None:  # it ends, or has just begun
                return None
            told = await counts(access, within=5.0)
            rss_mb, targets = _held_by(process.pid)
        except (OSError, Unreachable):
            return None
        return Usage(
            seconds=round(seconds, 1),
            gateway=gateway.name,
            start=gateway.starts,
            rss_mb=rss_mb,
            descriptors=len(targets),
            sockets=sum(one.startswith("socket:") for one in targets),
            in_flight=told.in_flight,
        )


def _gateway(folder: Path, name: str, routes: tuple[Route, ...]) -> Server:
    port = free_port()
    config = GatewayConfig(
        port=port,
        routes=routes,
        traces=str(folder / f"{name}-traces"),
        grace=DRAIN,
        first_byte_probe=2.0,
        silence_probe=2.0,
        hung_after=6.0,
        admin=AdminConfig(file=str(folder / f"{name}.admin")),
    )
    path = folder / f"{name}.json"
    write_record(path, config)
    argv = (sys.executable, "-m", "scepsy.gateway", "--config", str(path))
    argv += ("--exit-with-parent", str(os.getpid()))
    return Server(name, Launch(argv=argv, url=f"http://127.0.0.1:{port}"), folder)


def _held_by(pid: int) -> tuple[float, list[str]]:
    """Resident memory in MB, and what each descriptor leads to. Raises OSError."""
    status = Path(f"/proc/{pid}/status").read_text()
    rss = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(rss) / 1024, [_target(one) for one in Path(f"/proc/{pid}/fd").iterdir()]


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _target(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except OSError:
        return ""
