"""Listens for callers, holds their connections, and ends those whose deadline has passed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from scepsy.gateway.config import HttpLimits
from scepsy.gateway.http.connection import Connection, Handler
from scepsy.gateway.http.messages import HttpResponse

_BACKLOG = 4096
_SWEEP = 0.5  # seconds between two looks at all deadlines


class Listener:
    """Calls `handler` for each request; `refusal` makes the answers to those that cannot be read.

    Attributes:
        closing: whether each connection ends with the answer that is under way.
    """

    def __init__(
        self, handler: Handler, refusal: Callable[[int, str], HttpResponse], limits: HttpLimits
    ) -> None:
        self.handler = handler
        self.refusal = refusal
        self.limits = limits
        self.closing = False
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    async def listen(self, host: str, port: int, *, reuse_port: bool = False) -> int:
        """Begins to listen, and returns the port, which other processes of this user may share if
        `reuse_port`. Raises OSError.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self),
            host or None,
            port,
            backlog=_BACKLOG,
            reuse_port=reuse_port or None,
        )
        self._servers.append(server)
        self._sweep()
        return server.sockets[0].getsockname()[1]

    def stop_listening(self) -> None:
        """Takes no more connections, and leaves the port to whoever wants it. The connections that
        there are go on.
        """
        for server in self._servers:
            server.close()

    async def close(self, grace: float) -> None:
        """Takes no more connections. Answers under way may end within `grace` seconds."""
        self.closing = True
        self.stop_listening()
        for connection in list(self._connections):
            if not connection.busy:
                connection.close()
        try:
            async with asyncio.timeout(grace):
                while any(one.busy for one in self._connections):
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            pass
        for connection in list(self._connections):
            await connection.cancel()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def opened(self, connection: Connection) -> bool:
        self._connections.add(connection)
        return len(self._connections) <= self.limits.connections

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._empty.set()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [one for one in self._connections if one.deadline <= now]:
            connection.expire()
        self._sweeper = loop.call_later(_SWEEP, self._sweep)
