"""Keeps one process running: starts it, restarts it when it ends or hangs, with back-off and a
limit, and knows its last words.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from scepsy.deploy.local.health import is_draining
from scepsy.deploy.local.logs import rotate, tail
from scepsy.deploy.ray.records import ProcessReport
from scepsy.deploy.restarts import Failure, GiveUp, Restart, RestartPolicy, WaitUntil, decide
from scepsy.deploy.status import State
from scepsy.engines import EngineProcess, Launch, free_port, start, stop
from scepsy.errors import PortInUse, ScepsyError

_LOOK = 0.5
"""Seconds between two looks at a process that serves."""

_ANSWER_WITHIN = 5.0
"""Seconds that a process has to answer one health check."""


@dataclass(slots=True)
class SupervisedProcess:
    """One process, from `run` until that is cancelled.

    Attributes:
        launch_on: the command that listens on the given port.
        host: address to listen on.
        port: where it listens; 0 picks a free one at each start.
        on_ready: called with its URL whenever it has become ready.
    """

    name: str
    log: Path
    policy: RestartPolicy
    launch_on: Callable[[int], Launch]
    host: str
    port: int = 0
    on_ready: Callable[[str], None] = lambda _: None
    _state: State = "starting"
    _url: str = ""
    _pid: int = 0
    _restarts: int = 0
    _failures: list[Failure] = field(default_factory=list[Failure])

    def report(self) -> ProcessReport:
        """How the process is now."""
        last = self._failures[-1] if self._failures else None
        words = "" if last is None else f"{last.why}\n{last.last_words}".strip()
        return ProcessReport(
            state=self._state,
            url=self._url,
            pid=self._pid,
            restarts=self._restarts,
            failures=len(self._failures),
            last_words=words,
        )

    async def run(self) -> None:
        """Keeps it running until the policy gives up. Cancelled, it stops the process."""
        while True:
            self._failures.append(await self._live())
            self._state = "dead"
            verdict = decide(self._failures, time.monotonic(), self.policy)
            if isinstance(verdict, GiveUp):
                self._state = "failed"
                return
            if isinstance(verdict, WaitUntil):
                await asyncio.sleep(max(0.0, verdict.at - time.monotonic()))
            assert isinstance(verdict, Restart | WaitUntil)
            self._restarts += 1

    async def _live(self) -> Failure:
        """One life of the process: how it ended. Nothing of it is left."""
        try:
            process = await self._start()
        except (ScepsyError, OSError) as error:
            return Failure(at=time.monotonic(), served=0.0, why=str(error))
        began = time.monotonic()
        self._state = "ready"
        self.on_ready(process.url)
        try:
            why = await self._until_it_fails(process)
        finally:
            await stop(process)
        served = time.monotonic() - began
        return Failure(at=time.monotonic(), served=served, why=why, last_words=tail(self.log))

    async def _start(self) -> EngineProcess:
        try:
            return await self._attempt()
        except PortInUse:
            if self.port:
                raise
            return await self._attempt()

    async def _attempt(self) -> EngineProcess:
        launch = self.launch_on(self.port or free_port(self.host))
        self.log.parent.mkdir(parents=True, exist_ok=True)
        rotate(self.log)

        def note(pid: int, _born: int) -> None:
            self._pid, self._url = pid, launch.url

        return await start(launch, log_path=self.log, name=self.name, on_spawn=note)

    async def _until_it_fails(self, process: EngineProcess) -> str:
        """Why it no longer serves, as a sentence."""
        answered = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while process.alive:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{process.url}/health") as response:
                        if response.status == 200 or is_draining(await response.read()):
                            answered = time.monotonic()
                silent = time.monotonic() - answered
                if silent > self.policy.hung_after:
                    return f"{self.name} did not answer for {silent:.0f} s"
                self._state = "ready" if silent < _ANSWER_WITHIN else "unhealthy"
                await asyncio.sleep(_LOOK)
        return f"{self.name} ended"
