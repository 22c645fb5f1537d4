"""Changes that go on whether or not the command that asked for them still listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from scepsy.deploy.backend import OnProgress
from scepsy.deploy.ray.records import Told
from scepsy.errors import Conflict, ScepsyError

Work = Callable[[OnProgress], Awaitable[msgspec.Struct]]

_LISTENS = 15.0
"""Seconds after which a command that has not asked for news has ended, or was killed."""

_WAITS = 5.0
"""Seconds that a command is kept waiting for an answer."""

_NEWS_WITHIN = 1.0
"""Seconds after which a listener is told that there is nothing new."""


@dataclass(slots=True, eq=False)
class ChangeJob:
    """One change. `by_command` is false for a repair that the controller has begun itself. `heard`
    is when its command last asked for news, in seconds of the monotonic clock.
    """

    number: int
    by_command: bool
    heard: float = field(default_factory=time.monotonic)
    said: list[str] = field(default_factory=list[str])
    news: asyncio.Event = field(default_factory=asyncio.Event)
    end: Told | None = None
    task: asyncio.Task[None] | None = None

    def say(self, sentence: str) -> None:
        self.said.append(sentence)
        self.news.set()


class Jobs:
    """The changes of one deployment, one after another. Used in one event loop."""

    def __init__(self, deployment: str) -> None:
        self._deployment = deployment
        self._jobs: dict[int, ChangeJob] = {}
        self._running: ChangeJob | None = None

    @property
    def busy(self) -> bool:
        """Whether a change goes on."""
        return self._running is not None

    async def begin(self, work: Work, *, by_command: bool) -> int | None:
        """Starts a change and returns its number. None where a change goes on that nobody listens
        to any more, a repair or that of a killed command: ask again until it has ended. Raises
        Conflict where another command's change goes on.
        """
        while (running := self._running) is not None:
            if not by_command or await self._is_listened_to(running):
                raise Conflict(
                    f"another command is changing deployment {self._deployment!r}; wait until it "
                    "has ended, or choose another name with --name"
                )
            assert running.task is not None
            await asyncio.wait([running.task], timeout=_WAITS)
            if self._running is running:
                return None
        job = ChangeJob(len(self._jobs), by_command)
        self._jobs[job.number] = job
        self._running = job
        job.task = asyncio.create_task(self._run(job, work))
        return job.number

    async def _is_listened_to(self, running: ChangeJob) -> bool:
        """Whether the command of a change still asks for news."""
        asked = time.monotonic()
        while running.by_command and self._running is running:
            if running.heard > asked:
                return True
            if time.monotonic() - running.heard > _LISTENS:
                return False
            await asyncio.sleep(0.1)
        return False

    async def told(self, number: int, known: int) -> Told:
        """What happened after the first `known` sentences, waiting a little where nothing has."""
        job = self._jobs[number]
        job.heard = time.monotonic()
        if job.end is None and len(job.said) <= known:
            job.news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(job.news.wait(), _NEWS_WITHIN)
        told = job.end or Told()
        return msgspec.structs.replace(told, said=tuple(job.said[known:]))

    async def cancel(self, number: int) -> None:
        """Breaks a change off and waits until it has been taken back."""
        task = self._jobs[number].task
        assert task is not None
        task.cancel()
        await asyncio.wait([task])

    async def _run(self, job: ChangeJob, work: Work) -> None:
        try:
            result = await work(job.say)
            job.end = Told(done=True, result=msgspec.json.encode(result).decode())
        except ScepsyError as error:
            job.end = Told(done=True, error=error.code, message=str(error))
        except asyncio.CancelledError:
            job.end = Told(done=True, error="conflict", message="the change was broken off")
        except Exception as error:
            job.end = Told(done=True, error="error", message=f"{type(error).__name__}: {error}")
            raise
        finally:
            self._running = None
            job.news.set()
