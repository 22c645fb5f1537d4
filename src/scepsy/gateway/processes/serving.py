"""Runs several gateway processes until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import tempfile
from collections.abc import Callable, Collection, Coroutine, Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from scepsy.errors import PortInUse, Unreachable
from scepsy.gateway.access.admin_access import AdminAccess
from scepsy.gateway.admin import admin_key, publish
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.governed import GovernedGateway
from scepsy.gateway.processes.group import ProcessGroup
from scepsy.gateway.stopping import until_stopped

_BEYOND_GRACE = 10.0
"""Seconds beyond the grace after which a process that has not ended is killed."""


@dataclass(frozen=True, slots=True)
class GroupGateway:
    """Several processes as one gateway."""

    url: str
    admin: AdminAccess
    _group: ProcessGroup

    def replace_routes(self, routes: Sequence[Route], waiting: Collection[str] = ()) -> None:
        self._group.replace_routes(routes, waiting)

    def close(self) -> None:
        self._group.close()


async def serve_processes(
    config: GatewayConfig,
    *,
    on_ready: Callable[[GovernedGateway], None],
    beside: Callable[[GovernedGateway], Coroutine[None, None, None]] | None = None,
) -> None:
    """Runs `config.processes` gateways on one port until SIGTERM or SIGINT. Then their calls in
    flight may end within `config.grace`; a second signal ends them at once.

    `on_ready` and `beside` are as for `serve`. Raises PortInUse, and EngineFailed where a process
    ends before it listens: it has said why on standard error.
    """
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scepsy-gateway-")))
        port = stack.enter_context(_reserved(config.host, config.port))
        group = ProcessGroup(config, port, folder, admin_key(config.admin))
        admin_url = await _listen(group, stack)
        _on_signals(stop, group)
        keepers: list[asyncio.Task[None]] = []
        try:
            await asyncio.gather(*(child.start() for child in group.children))
            url = f"http://{_on_this_machine(config.host)}:{port}"
            access = AdminAccess(url=admin_url, key=group.key, calls=url)
            publish(access, config.admin.file, stack)
            keepers = [asyncio.create_task(child.keep()) for child in group.children]
            gateway = GroupGateway(url, access, group)
            on_ready(gateway)
            await until_stopped(stop, None if beside is None else beside(gateway))
        finally:
            await _stop(group, keepers, config.grace)


async def _stop(group: ProcessGroup, keepers: Sequence[asyncio.Task[None]], grace: float) -> None:
    for child in group.children:
        child.stopping = True
        child.signal(signal.SIGTERM)
    ends = [child.process.wait() for child in group.children if child.process is not None]
    try:
        async with asyncio.timeout(grace + _BEYOND_GRACE):
            await asyncio.gather(*ends)
    except TimeoutError:
        for child in group.children:
            child.kill()
    for task in keepers:
        task.cancel()  # one may wait before it starts a process again
    await asyncio.gather(*keepers, return_exceptions=True)


def _on_signals(stop: asyncio.Event, group: ProcessGroup) -> None:
    def on_signal() -> None:
        if stop.is_set():
            for child in group.children:
                child.kill()
        stop.set()

    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, on_signal)


async def _listen(group: ProcessGroup, stack: AsyncExitStack) -> str:
    """Answers at the admin address until `stack` closes. Returns its URL for this machine."""
    admin = group.config.admin
    runner = web.ServerRunner(web.Server(group.handle), shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, admin.host, admin.port).start()
    except OSError as error:
        raise _refused(error, admin.host, admin.port) from error
    return f"http://{_on_this_machine(admin.host)}:{runner.addresses[0][1]}"


@contextmanager
def _reserved(host: str, port: int) -> Generator[int]:
    """The port, which nobody else can listen on meanwhile but processes of this user that share it.

    Raises PortInUse, also where somebody shares it already.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as shared:
        try:
            with socket.socket(family) as alone:
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.bind((host, port))
                found = int(alone.getsockname()[1])
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            shared.bind((host, found))  # it does not listen, so it gets no connection
        except OSError as error:
            raise _refused(error, host, port) from error
        yield found


def _refused(error: OSError, host: str, port: int) -> PortInUse | Unreachable:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(f"port {port} is in use on {host}; choose another")
    return Unreachable(f"cannot listen on {host}:{port}: {error.strerror}")


def _on_this_machine(host: str) -> str:
    """The host of a URL that callers on this machine can use."""
    if host in ("0.0.0.0", ""):
        return "127.0.0.1"
    if host == "::":  # it takes no calls to 127.0.0.1
        return "[::1]"
    return f"[{host}]" if ":" in host else host
