"""Starts engines as processes, waits until they serve, and leaves none behind."""

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

LAST_WORDS = 12
"""Lines of an engine's log that an error quotes."""

_POLL = 0.05


@dataclass(frozen=True, slots=True)
class EngineProcess:
    """A running engine. `born` tells it from a later process of the same pid; both outlive us."""

    name: str
    pid: int
    born: int
    url: str
    log: Path

    @property
    def alive(self) -> bool:
        return is_alive(self.pid, self.born)


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on now."""
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
    """Run `launch` in a session of its own and wait until GET /health gives 200, for as long as it
    allows.

    `on_spawn` is told pid and birth of the process as soon as there is one, long before it is
    ready; what it raises ends the process.

    Raises:
        PortInUse: somebody else listens at its address, already or by the time it tried to.
        EngineFailed: it died or was not ready in time; quotes the end of its log.
    On any failure, cancellation included, the process is gone before this returns.
    """
    _check_port(launch.url, name)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    pid = _spawn(launch, log_path, name)
    process = EngineProcess(name, pid, identity(pid) or 0, launch.url, log_path)
    try:
        on_spawn(process.pid, process.born)
        async with asyncio.timeout(launch.ready_timeout):
            await _ready(process)
    except TimeoutError:
        await stop(process)
        raise EngineFailed(
            f"{name} was not ready after {launch.ready_timeout:g} s; {last_words(log_path)}"
        ) from None
    except BaseException:
        await stop(process)
        raise
    return process


async def stop(process: EngineProcess, *, grace: float = 5.0) -> None:
    """SIGTERM, up to `grace` seconds, then SIGKILL, to the engine and all that it started."""
    await stop_pid(process.pid, process.born, grace=grace)


async def stop_pid(pid: int, born: int, *, grace: float = 5.0) -> None:
    """As `stop`, for an engine known by its pid and birth. One that is gone is left in peace, and
    so is a stranger who has its pid now.
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
    """Polls, since somebody else's child cannot be waited for."""
    while is_alive(pid, born):  # noqa: ASYNC110
        await asyncio.sleep(_POLL)


def _reap(pid: int) -> None:
    """Let a child of ours go; another's is none of our business."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def last_words(log_path: Path) -> str:
    """The end of a log, for an error message."""
    lines = log_path.read_text(errors="replace").splitlines()[-LAST_WORDS:]
    return "its last words:\n  " + "\n  ".join(lines) if lines else "it said nothing"


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


def _spawn(launch: Launch, log_path: Path, name: str) -> int:
    """The pid of the child. A `Popen` would warn when it is dropped while its child lives on."""
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
    timeout = aiohttp.ClientTimeout(total=2.0)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while process.alive:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{process.url}/health") as response:
                    # Whoever answers may be a stranger who took the port before ours could.
                    if response.status == 200 and process.alive:
                        return
            await asyncio.sleep(_POLL)
    _check_port(process.url, process.name)
    raise EngineFailed(f"{process.name} ended before it was ready; {last_words(process.log)}")
