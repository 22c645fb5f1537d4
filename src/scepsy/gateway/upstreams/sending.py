"""Sends one call to one upstream: the result is an answer, or one of five kinds of failure."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from multidict import CIMultiDict

from scepsy.core.secrets import without_secrets
from scepsy.gateway.http.engine import AnswerLost, AnswerUnreadable, EngineConnection
from scepsy.gateway.http.heads import Headers, head_bytes
from scepsy.gateway.http.messages import HttpResponse
from scepsy.gateway.http.pool import EngineAddress, EnginePool, address_of
from scepsy.gateway.upstreams.fence import Fenced, Stuck
from scepsy.gateway.upstreams.rewriting import body_for_engine, headers_for_caller, with_key
from scepsy.gateway.upstreams.upstream import Upstream
from scepsy.gateway.wire.requests import ApiRequest

_USAGE, _PRIORITY = "stream_options", "priority"


class SendFailed(Exception):
    """An upstream gave no answer, or stopped in the middle of one. The exception never leaves the
    gateway.
    """


class NotSent(SendFailed):
    """No connection could be made, so the upstream has seen nothing of the call."""


class ConnectionLost(SendFailed):
    """The connection was lost after the call had been sent."""


class TakenAway(SendFailed):
    """The upstream is cut off, and the call was taken away from it."""


class Stalled(SendFailed):
    """The upstream has sent nothing for too long; it hangs, or has forgotten the call."""


class UnreadableAnswer(SendFailed):
    """The upstream answered, but not in valid HTTP. It is alive."""


class UnsendableRequest(SendFailed):
    """The caller's headers cannot be sent on. This is not the upstream's fault."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call as it goes to upstreams.

    Attributes:
        path: the API path with its query.
        ask_usage: whether to add `stream_options.include_usage`, unless the upstream is known to
            refuse it.
        priority: added in the same way, if the upstream orders its queue by it.
    """

    path: str
    headers: Headers
    asked: ApiRequest
    body: bytes
    ask_usage: bool = False
    priority: int | None = None

    def added_for(self, upstream: Upstream) -> frozenset[str]:
        """The fields that the gateway adds for this upstream."""
        added = {_USAGE} if self.ask_usage else set[str]()
        ranks = self.priority is not None and upstream.route.ranked
        if ranks and _PRIORITY not in self.asked.fields:
            added.add(_PRIORITY)
        return frozenset(added - upstream.refused_fields)

    def body_with(self, added: Collection[str]) -> bytes:
        return body_for_engine(
            self.body,
            self.asked,
            ask_usage=_USAGE in added,
            priority=self.priority if _PRIORITY in added else None,
        )


@dataclass(slots=True, eq=False)
class Reply:
    """An answer that has begun: all of it, or the first bytes of a stream.

    The receiver closes it. `added` names the fields that the gateway had added to the call.
    """

    upstream: Upstream
    connection: EngineConnection
    first: bytes
    give_back: Callable[[EngineConnection], None]
    added: frozenset[str] = frozenset()
    closed: bool = False

    @property
    def status(self) -> int:
        return self.connection.status

    @property
    def reason(self) -> str:
        return self.connection.reason

    @property
    def headers(self) -> CIMultiDict[str]:
        return self.connection.headers

    @property
    def streams(self) -> bool:
        return self.connection.streams

    @property
    def is_event_stream(self) -> bool:
        """Whether its type is that, as it may be of an error too."""
        return self.connection.is_event_stream

    @property
    def encoding(self) -> str:
        """Its Content-Encoding; empty if it has none."""
        return self.headers.get("Content-Encoding", "")

    @property
    def usage_was_added(self) -> bool:
        return _USAGE in self.added

    async def more(self) -> bytes:
        """The next bytes of a stream; empty at its end. Raises ConnectionLost."""
        connection, fence = self.connection, self.upstream.fence
        with _as_lost():
            fence.watch(connection, _now(), begun=True)
            try:
                return await connection.more()
            finally:
                fence.unwatch(connection, begun=True)

    async def pump(
        self, consumer: Callable[[bytes], bool], room: Callable[[], Awaitable[None]]
    ) -> None:
        """Hands the rest of a stream to `consumer`, as it arrives. Where that returns False, no
        more is read until `room` returns. Raises ConnectionLost, and what `consumer` raises.
        """
        connection, fence, loop = self.connection, self.upstream.fence, asyncio.get_running_loop()

        def heard(piece: bytes) -> bool:
            fence.heard = now = loop.time()
            fence.watch(connection, now, begun=True)
            return consumer(piece)

        async def wait_for_room() -> None:
            fence.unwatch(connection, begun=True)  # the silence is the caller's
            await room()
            fence.watch(connection, loop.time(), begun=True)

        with _as_lost():
            fence.watch(connection, loop.time(), begun=True)
            try:
                await connection.pump(heard, wait_for_room)
            finally:
                fence.unwatch(connection, begun=True)

    def close(self) -> None:
        """Ends the upstream call too, if it has not ended. May be called again."""
        if not self.closed:
            self.closed = True
            self.give_back(self.connection)
            self.upstream.in_flight -= 1


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends each request once: whether to send it again is not decided here."""

    pool: EnginePool

    async def post(
        self, upstream: Upstream, outgoing: Outgoing, added: frozenset[str], *, fresh: bool
    ) -> Reply:
        """The answer's headers, and its body or the first bytes of a stream. Errors are read whole,
        whatever their content type, so that another replica may be asked.

        `fresh` asks for a new connection. Raises SendFailed.
        """
        body, key = outgoing.body_with(added), upstream.route.api_key_env
        headers = with_key(outgoing.headers, os.environ[key]) if key else outgoing.headers
        upstream.in_flight += 1
        try:
            return await self._ask(
                upstream, "POST", outgoing.path, (headers, body, added), fresh=fresh
            )
        except Fenced as error:
            upstream.in_flight -= 1
            kind = Stalled if isinstance(error, Stuck) else TakenAway
            raise kind(str(error)) from None
        except BaseException:
            upstream.in_flight -= 1
            raise

    async def fetch(
        self, upstream: Upstream, method: str, path: str, headers: Headers
    ) -> HttpResponse:
        """What the upstream answers to a request of exactly this path, without a body. Redirects
        are passed on and not followed: they may lead anywhere. Raises SendFailed.
        """
        key = upstream.route.api_key_env
        sent = with_key(headers, os.environ[key]) if key else headers
        upstream.in_flight += 1
        try:
            reply = await self._ask(upstream, method, path, (sent, b"", frozenset()), fresh=False)
        except BaseException:
            upstream.in_flight -= 1
            raise
        try:
            body = reply.first
            while reply.streams and (piece := await reply.more()):
                body += piece
            return HttpResponse(
                body, reply.status, reply.reason, headers=headers_for_caller(reply.headers)
            )
        finally:
            reply.close()

    async def _ask(
        self,
        upstream: Upstream,
        method: str,
        path: str,
        content: tuple[Headers, bytes, frozenset[str]],
        *,
        fresh: bool,
    ) -> Reply:
        headers, body, added = content
        address = address_of(upstream.address(path))
        head = _head(method, address, headers, len(body))
        fence = upstream.fence
        connection = None if fresh else self.pool.take(address.origin)
        if connection is None:
            try:
                async with fence.guard():
                    connection = await self.pool.make(address.origin)
            except OSError as error:
                raise NotSent(_describe(error)) from error
        try:
            fence.watch(connection, _now())
            await connection.send(head, body)
            first = await connection.begin()
            fence.heard = _now()
        except AnswerUnreadable as error:
            connection.abort()
            raise UnreadableAnswer(_describe(error)) from error
        except AnswerLost as error:
            connection.abort()
            raise ConnectionLost(_describe(error)) from error
        except BaseException:
            connection.abort()
            raise
        finally:
            fence.unwatch(connection)
        if connection.streams and not first:
            connection.abort()
            raise ConnectionLost("it closed the stream before its first byte")
        give_back = partial(self.pool.give_back, address.origin)
        return Reply(upstream, connection, first, give_back, added)


@contextmanager
def _as_lost() -> Generator[None]:
    """What goes wrong in the middle of an answer is a lost connection."""
    try:
        yield
    except Fenced as error:
        raise ConnectionLost(str(error)) from None
    except (AnswerLost, AnswerUnreadable) as error:
        raise ConnectionLost(_describe(error)) from error


def _now() -> float:
    return asyncio.get_running_loop().time()


def _head(method: str, address: EngineAddress, headers: Headers, length: int) -> bytes:
    """Raises UnsendableRequest."""
    lines = [("Host", address.host), *headers]
    if address.authorization is not None:
        lines.append(("Authorization", address.authorization))
    if method == "POST":
        lines.append(("Content-Length", str(length)))
    try:
        return head_bytes(f"{method} {address.target} HTTP/1.1", lines)
    except ValueError as error:
        raise UnsendableRequest(_describe(error)) from error


def _describe(error: BaseException) -> str:
    return without_secrets(str(error)) or type(error).__name__
