"""Changes that go on whether or not the command that asked for them still listens."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from scepsy.deploy.backend import OnProgress
from scepsy.deploy.ray.records import Told
from scepsy.errors import Conflict, ScepsyError, Unreachable

Work = Callable[[OnProgress], Awaitable[msgspec.Struct]]

_NEWS_WITHIN = 1.0
"""Seconds after which a listener is told that there is nothing new."""

_LOST = Told(
    done=True,
    error=Unreachable.code,
    message="the deployment's controller was restarted while it made this change, and goes on with "
    "it by itself; see `scepsy status`, and ask again where it is not what you want",
)


@dataclass(slots=True, eq=False)
class ChangeJob:
    """One change. `by_command` is false for a repair that the controller has begun itself. `heard`
    is when its command last asked for news, in seconds of the monotonic clock.
    """

    number: int
    by_command: bool
    heard: float = field(default_factory=lambda: _now())
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
        # No two controllers use one number: a command may ask the second for a change of the first.
        self._next = secrets.randbits(48)
        self._running: ChangeJob | None = None

    @property
    def busy(self) -> bool:
        """Whether a change goes on."""
        return self._running is not None

    async def begin(self, work: Work, *, by_command: bool, waited: float = 0.0) -> int | None:
        """Starts a change and returns its number. None where another change goes on and it is not
        known, or not so, that its command still listens: ask again. `waited` is for how many
        seconds that has been done. Raises Conflict where another command's change goes on.
        """
        running = self._running
        if running is not None:
            if not by_command or (running.by_command and running.heard > _now() - waited):
                raise Conflict(
                    f"another command is changing deployment {self._deployment!r}; wait until it "
                    "has ended, or choose another name with --name"
                )
            return None
        job = ChangeJob(self._next, by_command)
        self._next += 1
        self._jobs[job.number] = job
        self._running = job
        job.task = asyncio.create_task(self._run(job, work))
        return job.number

    async def told(self, number: int, known: int) -> Told:
        """What happened after the first `known` sentences, waiting a little where nothing has."""
        job = self._jobs.get(number)
        if job is None:
            return _LOST
        job.heard = _now()
        if job.end is None and len(job.said) <= known:
            job.news.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(job.news.wait(), _NEWS_WITHIN)
        told = job.end or Told()
        return msgspec.structs.replace(told, said=tuple(job.said[known:]))

    async def cancel(self, number: int) -> None:
        """Breaks a change off and waits until it has been taken back."""
        job = self._jobs.get(number)
        if job is not None and job.task is not None:
            job.task.cancel()
            await asyncio.wait([job.task])

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


def _now() -> float:
    return time.monotonic()
