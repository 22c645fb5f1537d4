"""Connections to engines that are kept open between calls."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from scepsy.gateway.http.engine import EngineConnection

_SWEEP = 1.0  # seconds between two looks for connections that were idle for too long


@dataclass(frozen=True, slots=True)
class Origin:
    """A server: where to connect to."""

    tls: bool
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where a request goes: its server, the value of its Host header, and its target."""

    origin: Origin
    host: str
    target: str
    authorization: str | None


@lru_cache(maxsize=1024)
def address_of(url: str) -> EngineAddress:
    """Splits a URL whose path and query are encoded already. A user in it becomes credentials."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    name = parts.hostname or ""
    host = name if name.isascii() else name.encode("idna").decode()
    origin = Origin(tls, host, parts.port or (443 if tls else 80))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    authorization = None
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(user.encode()).decode()}"
    return EngineAddress(origin, parts.netloc.rpartition("@")[2], target, authorization)


@dataclass(slots=True)
class EnginePool:
    """Lends connections. One that has been idle for `keep_alive` seconds is closed; making one may
    take `connect` seconds.
    """

    keep_alive: float
    connect: float
    _idle: dict[Origin, list[EngineConnection]] = field(
        default_factory=dict[Origin, list[EngineConnection]]
    )
    _sweeper: asyncio.TimerHandle | None = None
    _tls: ssl.SSLContext | None = None
    _closed: bool = False

    def take(self, origin: Origin) -> EngineConnection | None:
        """An idle connection that was not closed; None if there is none."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_quiet():
                return connection
            connection.abort()
        return None

    async def make(self, origin: Origin) -> EngineConnection:
        """A new connection. Raises OSError, which TimeoutError is too."""
        loop = asyncio.get_running_loop()
        make: Callable[[], EngineConnection] = EngineConnection
        async with asyncio.timeout(self.connect):
            _, connection = await loop.create_connection(
                make, origin.host, origin.port, ssl=self._context() if origin.tls else None
            )
        return connection

    def give_back(self, origin: Origin, connection: EngineConnection) -> None:
        """Takes a connection back, unless it cannot be used again."""
        if self._closed or not connection.reusable:
            connection.abort()
            return
        connection.asked = False
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(origin, []).append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(_SWEEP, self._sweep)

    def close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self.keep_alive
        for origin, idle in list(self._idle.items()):
            kept = [one for one in idle if one.idle_since > oldest]
            for connection in idle[: len(idle) - len(kept)]:
                connection.abort()
            if kept:
                self._idle[origin] = kept
            else:
                del self._idle[origin]
        self._sweeper = loop.call_later(_SWEEP, self._sweep) if self._idle else None

    def _context(self) -> ssl.SSLContext:
        self._tls = self._tls or ssl.create_default_context()
        return self._tls
