"""One caller's connection: requests in, answers out, one after another, within limits."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

import httptools

from scepsy.gateway.config import HttpLimits
from scepsy.gateway.http.heads import HEADER_BYTES_MAX, Head, HeadTooLarge, head_bytes
from scepsy.gateway.http.messages import HttpRequest, HttpResponse, RequestTarget, StreamResponse

Handler = Callable[[HttpRequest], Awaitable[StreamResponse]]

_PIPELINED_MAX = 4  # requests that wait for the answer to an earlier one; then nothing is read
_LINGER = 2.0  # seconds in which a caller that was refused may read why
_WRITTEN_MAX = 256 << 10  # bytes for a slow caller that are kept before the engine has to wait

_log = logging.getLogger(__name__)


class Refused(Exception):
    """A request cannot be read, or exceeds a limit."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Acceptor(Protocol):
    """What a connection needs of its server. `refusal` makes the answer to a request that no
    handler sees, from a status and a reason.
    """

    limits: HttpLimits
    handler: Handler
    refusal: Callable[[int, str], HttpResponse]
    closing: bool

    def opened(self, connection: Connection) -> bool:
        """Whether there is room for another one."""
        ...

    def closed(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """`deadline`: loop time in seconds at which `expire` is to be called; infinite for never."""

    def __init__(self, server: Acceptor) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._head: Head | None = None  # of a request that is arriving
        self._head_ended = False
        self._target = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._fault: Refused | None = None
        self._waiting: deque[HttpRequest] = deque()
        self._task: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._ended = False  # nothing that arrives is read any more
        self.remote: str | None = None
        self.deadline = math.inf

    # From the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has classes of its own
        self._transport.set_write_buffer_limits(_WRITTEN_MAX)
        peer = transport.get_extra_info("peername")
        self.remote = peer[0] if isinstance(peer, tuple) and peer else None
        self._idle()
        if not self._server.opened(self):
            self._refuse(503, "this process has all the connections that it may have")

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        try:
            if not self._head_ended:
                self._count(len(data))
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            self._without_upgrade(data[error.args[0] :])
        except HeadTooLarge as error:
            self._refuse(431, str(error))
        except httptools.HttpParserError as error:
            if self._fault is not None:
                self._refuse(self._fault.status, str(self._fault))
            else:
                self._refuse(400, f"this is not a valid HTTP request: {error}")

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()
        self.deadline = self._loop.time() + self._server.limits.taking

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if self.busy:
            self.deadline = math.inf
        elif not self._ended:
            self._idle()
        if drained is not None and not drained.done():
            drained.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self.deadline = math.inf
        self._waiting.clear()
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionResetError("the caller has left"))
            self._drained.exception()  # nobody may be waiting
        if self._task is not None:
            self._task.cancel()
        self._server.closed(self)

    # From the parser

    def on_message_begin(self) -> None:
        self._head = self._head or Head()
        self._head_ended = False
        self._target = b""
        self._body = []
        self._body_bytes = 0
        if self._task is None:
            self.deadline = self._loop.time() + self._server.limits.head

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > HEADER_BYTES_MAX:
            self._fail(431, f"the request line or a header is longer than {HEADER_BYTES_MAX} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        head = self._head
        if head is None or self._head_ended:  # a trailer
            return
        try:
            head.add(name, value)
        except HeadTooLarge as error:
            self._fail(431, str(error))

    def on_headers_complete(self) -> None:
        self._head_ended = True
        if self._task is None:
            self.deadline = self._loop.time() + self._server.limits.body
        for name, value in self._head.lines if self._head is not None else ():
            lower = name.lower()
            if lower == "content-length" and int(value) > self._server.limits.body_bytes:
                self._too_large()
            elif lower == "expect" and self._parser.get_http_version() != "1.0":
                if value.lower() != "100-continue":
                    self._fail(417, "Expectation Failed")
                if self._task is None:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._server.limits.body_bytes:
            self._too_large()
        self._body.append(body)

    def on_message_complete(self) -> None:
        head = self._head
        if head is None or self._parser.should_upgrade():
            return
        self._head = None
        self._head_ended = False
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        version = self._parser.get_http_version()
        request = HttpRequest(
            self._parser.get_method().decode(),
            RequestTarget(self._target.decode("utf-8", "surrogateescape")),
            head.headers(),
            body,
            self,
            keeps_alive=self._parser.should_keep_alive() and not self._server.closing,
            chunks=version != "1.0",
        )
        if self._task is None:
            self._start(request)
            return
        self._waiting.append(request)
        if len(self._waiting) >= _PIPELINED_MAX and not self._transport.is_closing():
            self._transport.pause_reading()

    # To the caller

    def send(self, *pieces: bytes) -> bool:
        if self._transport.is_closing():
            raise ConnectionResetError("the caller has left")
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        else:
            self._transport.writelines(pieces)
        return self._drained is None

    async def drain(self) -> None:
        if self._drained is not None:
            await asyncio.shield(self._drained)

    # From the server

    @property
    def busy(self) -> bool:
        """Whether an answer is under way."""
        return self._task is not None

    def expire(self) -> None:
        """The deadline has passed: the caller was idle, or too slow."""
        self.deadline = math.inf
        if self.busy or self._ended:  # it does not take its answer
            self._transport.abort()
        elif self._head is None:
            self.close()
        elif self._head_ended:
            self._refuse(408, f"the body took longer than {self._server.limits.body:g} s")
        else:
            self._refuse(408, f"the headers took longer than {self._server.limits.head:g} s")

    def close(self) -> None:
        """Ends the connection once what was written has been sent."""
        self._ended = True
        self._transport.close()

    async def cancel(self) -> None:
        """Ends the answer that is under way, and the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._transport.abort()

    def _count(self, received: int) -> None:
        """Counts bytes of a head. The first bytes of one come before the parser says so."""
        self._head = self._head or Head()
        self._head.received(received)

    def _start(self, request: HttpRequest) -> None:
        self.deadline = math.inf
        self._task = self._loop.create_task(self._answer(request))

    async def _answer(self, request: HttpRequest) -> None:
        try:
            response = await self._server.handler(request)
            if not response.begun and isinstance(response, HttpResponse):
                response.send(request)
        except ConnectionError:
            self._transport.abort()
        except Exception:  # noqa: BLE001 - its task ends here, so nobody else would see it
            _log.exception("%s %s failed", request.method, request.rel_url.raw_path)
            self._transport.abort()  # what was sent is no whole answer
        else:
            self._answered(last=response.last)

    def _answered(self, *, last: bool) -> None:
        self._task = None
        if self._transport.is_closing():
            return
        if last or self._server.closing:
            self.close()
        elif self._waiting:
            request = self._waiting.popleft()
            if not self._ended:
                self._transport.resume_reading()
            self._start(request)
        elif self._fault is not None:
            self._refuse(self._fault.status, str(self._fault))
        elif self._head is None:
            self._idle()
        else:  # the next request is arriving already
            limits = self._server.limits
            wait = limits.body if self._head_ended else limits.head
            self.deadline = self._loop.time() + wait

    def _idle(self) -> None:
        self.deadline = self._loop.time() + self._server.limits.idle

    def _too_large(self) -> None:
        self._fail(413, f"the body is larger than {self._server.limits.body_bytes} bytes")

    def _fail(self, status: int, why: str) -> None:
        """Ends the parsing. Raises Refused."""
        self._fault = Refused(status, why)
        raise self._fault

    def _refuse(self, status: int, why: str) -> None:
        """Answers a request that cannot be read, after the answers before it, and closes."""
        self._ended = True
        self._fault = Refused(status, why)
        if self._task is not None or self._transport.is_closing():
            return
        response = self._server.refusal(status, why)
        request = HttpRequest("GET", RequestTarget("/"), Head().headers(), b"", self)
        response.last = True
        response.send(request)
        # Closed at once, with bytes unread, the connection would be reset and the answer lost.
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self.deadline = self._loop.time() + _LINGER
        else:
            self.close()

    def _without_upgrade(self, rest: bytes) -> None:
        """Reads a request that offers another protocol as if it did not: the parser has skipped its
        body. (Java's client offers HTTP/2 with each first request.)
        """
        head = self._head
        if head is None or self._parser.get_method() == b"CONNECT":
            self._refuse(400, "this server is no tunnel")
            return
        kept = [one for one in head.lines if one[0].lower() not in ("upgrade", "connection")]
        line = f"{self._parser.get_method().decode()} {self._target.decode('latin-1')} HTTP/1.1"
        self._head = None
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(head_bytes(line, kept) + rest)
