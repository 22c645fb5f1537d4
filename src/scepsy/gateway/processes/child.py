"""One of several gateway processes: started, started again when it has ended, and asked."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from scepsy.errors import EngineFailed, ScepsyError, Unreachable
from scepsy.gateway.access.admin_access import AdminAccess, read_access
from scepsy.gateway.config import GatewayConfig
from scepsy.store import write_record

READY_WITHIN = 60.0
"""Seconds that a process has to begin to listen. On a machine with too much work it takes some."""

ANSWER_WITHIN = 10.0
"""Seconds that a process has to answer its parent. One that needs longer hangs, and is killed."""

_BACKOFF_MIN, _BACKOFF_MAX = 0.1, 5.0
"""Seconds before a process is started again; doubled each time that it ends early."""

_EARLY = 10.0
"""Seconds within which an end is early."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Child:
    """The process number `index`, kept running by `start` and `keep`.

    Attributes:
        folder: holds its configuration and its admin key; only the owner may read it.
        config: makes the configuration with the present routes.
        settle: called when it has begun to listen, before `settled`.
        ended: called when a process has ended.
        access: its admin address, None while it does not run.
        settled: not set while a process is being started.
    """

    index: int
    folder: Path
    config: Callable[[Path], GatewayConfig]
    settle: Callable[[Child], Awaitable[None]]
    ended: Callable[[Child], None]
    access: AdminAccess | None = None
    process: asyncio.subprocess.Process | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False

    async def keep(self) -> None:
        """Starts the process again whenever it ends, until it is to stop. It has been started."""
        delay, began = _BACKOFF_MIN, time.monotonic()
        while self.process is not None:
            code = await self.process.wait()
            self.gone()
            if self.stopping:
                return
            early = time.monotonic() - began < _EARLY
            delay = min(2 * delay, _BACKOFF_MAX) if early else _BACKOFF_MIN
            _log.error("gateway process %d ended with %d; again in %g s", self.index, code, delay)
            await asyncio.sleep(delay)
            began = time.monotonic()
            try:
                await self.start()
            except (OSError, ScepsyError) as error:
                _log.error("gateway process %d: %s", self.index, error)

    async def start(self) -> None:
        """Starts the process and waits until it listens. Raises EngineFailed where it ends first,
        and Unreachable where it takes too long.
        """
        self.settled.clear()
        path, key_file = (self.folder / f"{self.index}.{end}.json" for end in ("config", "admin"))
        key_file.unlink(missing_ok=True)
        write_record(path, self.config(key_file))
        argv = ["-m", "scepsy.gateway", "--config", str(path)]
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *argv,
            "--exit-with-parent",
            str(os.getpid()),
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent, which lets it end in its own time
        )
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(READY_WITHIN):
                line = await self.process.stdout.readline()
        except TimeoutError:
            self.kill()
            raise Unreachable(f"it does not listen after {READY_WITHIN:g} s") from None
        self.access = read_access(key_file)
        if not line or self.access is None:
            code = await self.process.wait()
            raise ChildFailed(code)
        await self.settle(self)
        self.settled.set()

    def gone(self) -> None:
        """Notes that the process has ended."""
        self.ended(self)
        self.access = None
        self.settled.set()

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    async def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of its answer. Raises Unreachable where it does not run, and where it
        hangs: then it is killed, and another one is started.
        """
        access = self.access
        if access is None:
            raise Unreachable(f"gateway process {self.index} does not run")
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=access.headers) as session,
                session.request(method, f"{access.url}{path}", data=body) as answer,
            ):
                return answer.status, await answer.read()
        except TimeoutError:
            _log.error("gateway process %d does not answer and is killed", self.index)
            self.kill()
            raise Unreachable(f"gateway process {self.index} does not answer") from None
        except aiohttp.ClientError as error:
            raise Unreachable(f"gateway process {self.index}: {error}") from error


class ChildFailed(EngineFailed):
    """A gateway process that ended before it listened. Its own message is on standard error."""

    def __init__(self, code: int) -> None:
        super().__init__(f"a gateway process ended with {code} before it listened")
        self.exit_code = code if code > 0 else EngineFailed.exit_code
