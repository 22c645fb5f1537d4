"""Starts engines as processes, waits until they serve, and stops them with all their children."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from scepsy.engines.procfs import end_group, identity, is_alive
from scepsy.engines.protocol import Launch
from scepsy.errors import EngineFailed, PortInUse

LOG_LINES_QUOTED = 12
"""Lines from the end of an engine's log that an error message quotes."""

_POLL = 0.05
"""Seconds between two looks at a process."""

_HEALTH_TIMEOUT = 2.0
"""Seconds that an engine has to answer one health check while it starts."""


@dataclass(frozen=True, slots=True)
class EngineProcess:
    """A running engine. Pid and birth (clock ticks since boot) name the process for good: a later
    process with the same pid has another birth.
    """

    name: str
    pid: int
    born: int
    url: str
    log: Path

    @property
    def alive(self) -> bool:
        return is_alive(self.pid, self.born)


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


async def start(
    launch: Launch,
    *,
    log_path: Path,
    name: str,
    on_spawn: Callable[[int, int], None] = lambda _pid, _born: None,
) -> EngineProcess:
    """Runs `launch` in a session of its own and waits until GET /health returns 200, for at most
    `launch.ready_timeout` seconds.

    `on_spawn` is called with pid and birth as soon as there is a process, long before it is ready.
    An exception that it raises ends the process. After any failure, cancellation included, the
    process has ended when this returns.

    Raises:
        PortInUse: another process listens at the address, or took it before the engine did.
        EngineFailed: the engine ended or was not ready in time. The message quotes its log.
    """
    _check_port(launch.url, name)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    pid = spawn(launch, log_path, name)
    process = EngineProcess(name, pid, identity(pid) or 0, launch.url, log_path)
    try:
        on_spawn(process.pid, process.born)
    except BaseException:
        await stop(process)
        raise
    await until_ready(process, launch.ready_timeout)
    return process


async def until_ready(process: EngineProcess, within: float) -> None:
    """Waits until GET /health returns 200, for at most `within` seconds. After any failure,
    cancellation included, the process has ended.

    Raises PortInUse and EngineFailed, as `start` does.
    """
    try:
        async with asyncio.timeout(within):
            await _ready(process)
    except TimeoutError:
        await stop(process)
        raise EngineFailed(
            f"{process.name} was not ready after {within:g} s; {log_end(process.log)}"
        ) from None
    except BaseException:
        await stop(process)
        raise


async def stop(process: EngineProcess, *, grace: float = 5.0) -> None:
    """Sends SIGTERM to the engine and all processes that it started, waits up to `grace` seconds,
    and then sends SIGKILL.
    """
    await stop_pid(process.pid, process.born, grace=grace)


async def stop_pid(pid: int, born: int, *, grace: float = 5.0) -> None:
    """As `stop`, for an engine known by pid and birth. Another process that has the same pid by now
    is left alone.
    """
    if not end_group(pid, born, signal.SIGTERM):
        return
    try:
        async with asyncio.timeout(grace):
            await _ended(pid, born)
    except TimeoutError:
        pass
    finally:
        end_group(pid, born, signal.SIGKILL)
    await _ended(pid, born)
    _reap(pid)


async def _ended(pid: int, born: int) -> None:
    """Polls, because only a parent can wait for a process."""
    while is_alive(pid, born):  # noqa: ASYNC110
        await asyncio.sleep(_POLL)


def _reap(pid: int) -> None:
    """Reaps the process if it is our child."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def log_end(log_path: Path) -> str:
    """The end of a log, for an error message."""
    lines = log_path.read_text(errors="replace").splitlines()[-LOG_LINES_QUOTED:]
    return "the end of its log:\n  " + "\n  ".join(lines) if lines else "its log is empty"


def _check_port(url: str, name: str) -> None:
    address = urlsplit(url)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.hostname, address.port))
        except OSError as error:
            raise PortInUse(
                f"{name} cannot listen on {address.netloc}: {error.strerror}; choose another port"
            ) from error


def spawn(launch: Launch, log_path: Path, name: str) -> int:
    """Starts the process in a session of its own and returns its pid. Raises EngineFailed.

    A `Popen` would warn when it is garbage-collected while its child still runs.
    """
    log = (os.POSIX_SPAWN_OPEN, 1, log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    try:
        return os.posix_spawnp(
            launch.argv[0],
            launch.argv,
            {**os.environ, **launch.env},
            file_actions=[null, log, (os.POSIX_SPAWN_DUP2, 1, 2)],
            setsid=True,
        )
    except OSError as error:
        raise EngineFailed(f"{name} cannot be started: {launch.argv[0]}: {error}") from error


async def _ready(process: EngineProcess) -> None:
    timeout = aiohttp.ClientTimeout(total=_HEALTH_TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while process.alive:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{process.url}/health") as response:
                    # The answer may come from another process that took the port first.
                    if response.status == 200 and process.alive:
                        return
            await asyncio.sleep(_POLL)
    _check_port(process.url, process.name)
    raise EngineFailed(f"{process.name} ended before it was ready; {log_end(process.log)}")
