"""An event loop in a thread of its own, for actors whose methods are called in other threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """The loop lives as long as the process. Engines that are started in it end with its thread,
    which is therefore never replaced.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="loop", daemon=True).start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` and waits for its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Starts `work`, which goes on by itself."""

        async def started() -> asyncio.Task[T]:
            return asyncio.create_task(work)

        return self.call(started())

    def end(self, task: asyncio.Task[Any]) -> None:
        """Cancels a task and waits until it has ended."""

        async def ended() -> None:
            task.cancel()
            await asyncio.wait([task])

        self.call(ended())
