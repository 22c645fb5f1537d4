"""Takes calls away from a server that is cut off, so that they can be sent elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


class Fenced(Exception):
    """The server is cut off: whatever it may still do, its answer no longer counts."""


@dataclass(slots=True)
class Fence:
    """Down until `raise_now`, and up for good after that. A server whose machine has lost its power
    or its network closes no connection, so a call would wait for ever.
    """

    up: bool = False
    _waiting: set[asyncio.Timeout] = field(default_factory=set[asyncio.Timeout])

    @asynccontextmanager
    async def guard(self) -> AsyncGenerator[None]:
        """Ends the block with Fenced as soon as the fence is up."""
        if self.up:
            raise Fenced
        try:
            async with asyncio.timeout(None) as scope:
                self._waiting.add(scope)
                try:
                    yield
                finally:
                    self._waiting.discard(scope)
        except TimeoutError:
            if self.up:
                raise Fenced from None
            raise

    def raise_now(self) -> None:
        """Ends every block that is guarded."""
        self.up = True
        now = asyncio.get_running_loop().time()
        waiting, self._waiting = self._waiting, set()  # a block can be ended once only
        for scope in waiting:
            scope.reschedule(now)
