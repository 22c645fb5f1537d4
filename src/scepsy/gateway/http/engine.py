"""One connection to an engine: a request out, its answer in, whole or piece by piece."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable
from typing import cast

import httptools
from multidict import CIMultiDict

from scepsy.gateway.http.heads import Head, HeadTooLarge

_BUFFERED_MAX = 256 << 10  # bytes of a stream that are read before the caller takes them
_PIECE_BYTES = 256 << 10  # a larger body is sent in pieces, so that it does not delay other calls
_NO_BODY = frozenset({204, 304})


class AnswerLost(Exception):
    """The connection was lost before the answer was whole."""


class AnswerUnreadable(Exception):
    """What came is not an answer in HTTP."""


class EngineConnection(asyncio.Protocol):
    """Use: `send`, `begin`, and for the rest of a stream `pump`, or `more` until it is empty. One
    answer at a time.

    Attributes:
        since: loop time in seconds since when bytes are waited for.
        streams: whether the answer is an event stream, which is handed on as it arrives.
        complete: whether all of the answer has arrived.
        idle_since: loop time in seconds at which it was put back into its pool.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._poll = select.poll()
        self._reset()
        self._spoiled = False  # closed, or it said something that nobody had asked for
        self._paused = False
        self._consumer: Callable[[bytes], bool] | None = None
        self._full = False  # the consumer has no room
        self.asked = False
        self.idle_since = self.since = 0.0

    def _reset(self) -> None:
        self._head: Head | None = Head()
        self._reason = b""
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._informational = False
        self._until_end = False
        self._error: Exception | None = None
        self.status = 0
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.streams = self.complete = self._keeps = False

    @property
    def reason(self) -> str:
        return self._reason.decode("utf-8", "surrogateescape")

    @property
    def is_event_stream(self) -> bool:
        return self.headers.get("Content-Type", "")[:17].lower() == "text/event-stream"

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent."""
        stopped = self._paused or self._full
        return self.complete and self._keeps and not self._spoiled and not stopped

    def is_quiet(self) -> bool:
        """Whether the engine has neither closed the connection nor sent bytes unasked, up to now.
        Such bytes would be taken for the answer to the next request.
        """
        return not self._spoiled and not self._poll.poll(0)

    async def send(self, head: bytes, body: bytes) -> None:
        """Sends a request. An engine may answer before it has read all."""
        self._reset()
        self.asked = True
        if len(body) <= _PIECE_BYTES:
            self._transport.write(head + body)
            return
        self._transport.write(head)
        view = memoryview(body)
        for start in range(0, len(body), _PIECE_BYTES):
            if self._error is not None or self.complete:
                return
            self._transport.write(view[start : start + _PIECE_BYTES])
            if self._drained is not None:
                await self._drained

    async def begin(self) -> bytes:
        """The whole body, or the first bytes of a stream (empty if it has none).

        Raises AnswerLost or AnswerUnreadable.
        """
        while not (self.complete or (self.streams and self._pieces)):
            if self._error is not None:
                raise self._error
            await self._wait()
        return self._take()

    async def more(self) -> bytes:
        """Further bytes of a stream; empty at its end. Raises AnswerLost or AnswerUnreadable."""
        while not self._pieces:
            if self.complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait()
        return self._take()

    async def pump(
        self, consumer: Callable[[bytes], bool], room: Callable[[], Awaitable[None]]
    ) -> None:
        """Hands the rest of a stream to `consumer`, as it arrives. Where that returns False, no
        more is read until `room` returns. No task has to be woken for each piece.

        Raises AnswerLost or AnswerUnreadable, and what `consumer` raises.
        """
        self._consumer = consumer
        try:
            while True:
                if self._pieces and not self._full:
                    self._hand_on()
                if self._full:
                    await room()
                    self._full = False
                    self._resume()
                elif self._error is not None:
                    raise self._error
                elif self.complete:
                    return
                else:
                    await self._wait()
        finally:
            self._consumer = None

    def end(self, why: Exception) -> None:
        """Whoever waits for an answer gets this exception."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._fail(why)

    def abort(self) -> None:
        """Ends the connection; the engine notices that its caller has left."""
        self._spoiled = True
        self._transport.abort()

    # From the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has classes of its own
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if not self.asked or self.complete:
            self.abort()
            return
        try:
            if self._head is not None:
                self._head.received(len(data))
            self._parser.feed_data(data)
        except (httptools.HttpParserUpgrade, httptools.HttpParserError, HeadTooLarge) as error:
            if not self.complete:
                self._fail(self._described(error))
            self.abort()
        if self._consumer is not None and self._pieces and not self._full:
            self._hand_on()

    def eof_received(self) -> None:
        if self._until_end and self._head is None:
            self.complete = True
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._spoiled = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if not self.complete:
            what = "the server closed the connection" if exc is None else str(exc)
            self._fail(AnswerLost(what or type(exc).__name__))

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # From the parser

    def on_message_begin(self) -> None:
        if self.complete:  # a second answer to one request
            self._spoiled = True
            raise AnswerUnreadable("there is more than one answer")

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is not None:
            self._head.add(name, value)

    def on_headers_complete(self) -> None:
        head = self._head
        assert head is not None
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self._informational = True
            return
        self.headers = headers = head.headers()
        self._head = None
        self.streams = self.status < 400 and self.is_event_stream
        self._until_end = not (
            "Content-Length" in headers or "Transfer-Encoding" in headers or self.status in _NO_BODY
        )

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        if not self.streams or self._consumer is not None:
            return
        self._buffered += len(body)
        if self._buffered > _BUFFERED_MAX and not self._paused:
            self._paused = True
            self._pause()
        self._wake()

    def on_message_complete(self) -> None:
        if self._informational:  # the answer itself follows
            self._informational = False
            self._head = Head()
            self._reason = b""
            return
        self.complete = True
        self._keeps = self._parser.should_keep_alive()
        self._wake()

    def _hand_on(self) -> None:
        assert self._consumer is not None
        try:
            has_room = self._consumer(self._take())
        except Exception as error:  # noqa: BLE001 - `pump` raises it
            self._fail(error)
            return
        if not has_room:
            self._full = True
            self._pause()
            self._wake()

    def _take(self) -> bytes:
        pieces = self._pieces
        self._pieces = []
        self._buffered = 0
        if self._paused:
            self._paused = False
            self._resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
        self._wake()

    def _described(self, error: Exception) -> Exception:
        """An answer that breaks within its body was one, up to there."""
        why = error.__context__ if error.__context__ is not None else error
        if self._head is None:
            return AnswerLost(f"the answer is not valid HTTP: {why}")
        return AnswerUnreadable(str(why))
