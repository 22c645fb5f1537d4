"""The calls that wait for a server's next bytes, and how they are taken away from it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol


class Fenced(Exception):
    """The call was taken away from its server: whatever that still does no longer counts."""


class Stuck(Fenced):
    """The call was taken away because its server sent nothing for too long."""


class Waiting(Protocol):
    """What waits for a server's bytes. `since`: loop time in seconds when it began."""

    since: float

    def end(self, why: Fenced) -> None:
        """Ends the wait with this exception."""
        ...


@dataclass(slots=True)
class Fence:
    """Down until `raise_now`, and up for good after that. A server whose machine has lost its power
    or its network closes no connection, so a call would wait for ever.

    Attributes:
        heard: loop time in seconds of the last bytes for any call.
        first, next: what waits for the first bytes of an answer, and for further ones, in the order
            in which it began to wait.
    """

    up: bool = False
    heard: float = float("-inf")
    first: dict[Waiting, None] = field(default_factory=dict["Waiting", None])
    next: dict[Waiting, None] = field(default_factory=dict["Waiting", None])

    def guard(self) -> GuardedWait:
        """Ends the block, which has to do with a call that has no answer yet, with Fenced as soon
        as the fence is up or its call is taken away.
        """
        return GuardedWait(self, self.first)

    def watch(self, one: Waiting, now: float, *, begun: bool = False) -> None:
        """It waits from `now` (loop time in seconds) on until `unwatch`: for the first bytes of an
        answer, or for further ones if the answer has `begun`. Raises Fenced if the fence is up.
        """
        if self.up:
            raise Fenced("it is cut off")
        one.since = now
        waits = self.next if begun else self.first
        waits.pop(one, None)  # it goes to the end
        waits[one] = None

    def unwatch(self, one: Waiting, *, begun: bool = False) -> None:
        (self.next if begun else self.first).pop(one, None)

    def raise_now(self) -> None:
        """Ends all that waits."""
        self.up = True
        self.take_away(Fenced("it is cut off"))

    def take_away(self, why: Fenced) -> None:
        """Ends all that waits now."""
        for wait in (*self.first, *self.next):
            wait.end(why)


class GuardedWait:
    """A block that waits for a server's bytes. `since`: loop time in seconds when it began."""

    __slots__ = ("_among", "_fence", "_scope", "_why", "since")

    def __init__(self, fence: Fence, among: dict[Waiting, None]) -> None:
        self._fence = fence
        self._among = among
        self._why: Fenced | None = None
        self._scope = asyncio.timeout(None)
        self.since = 0.0

    async def __aenter__(self) -> None:
        if self._fence.up:
            raise Fenced("it is cut off")
        await self._scope.__aenter__()
        self.since = asyncio.get_running_loop().time()
        self._among[self] = None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._among.pop(self, None)
        if kind is None:
            self._fence.heard = asyncio.get_running_loop().time()
        try:
            await self._scope.__aexit__(kind, error, trace)
        except TimeoutError:
            if self._why is not None:
                raise self._why from None
            raise

    def end(self, why: Fenced) -> None:
        """Ends the block with this exception."""
        if self._among.pop(self, self) is None:  # a block can be ended once only
            self._why = why
            self._scope.reschedule(asyncio.get_running_loop().time())
