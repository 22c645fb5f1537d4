"""A request as a handler reads it, and the answers that it may give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from multidict import CIMultiDict, MultiDict

from scepsy.gateway.http.heads import head_bytes, status_line

_NO_BODY = frozenset({204, 304})
_JOINED_MAX = 64 << 10
"""Bytes of a body up to which it is copied behind its head, so that both are one write."""


class HttpError(Exception):
    """A handler answers with this status."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})


def method_not_allowed(*allowed: str) -> HttpError:
    return HttpError(405, "Method Not Allowed", {"Allow": ",".join(allowed)})


class Sink(Protocol):
    """Where an answer is written to: the caller's connection. `remote` is its address, if any."""

    remote: str | None

    def send(self, *pieces: bytes) -> bool:
        """Whether there is room for more. Raises ConnectionResetError once the caller has left."""
        ...

    async def drain(self) -> None:
        """Returns when the caller has taken most of what was sent. Raises ConnectionResetError."""
        ...


class RequestTarget:
    """What a request asks for: path and query as the caller encoded them."""

    __slots__ = ("raw_path", "raw_query_string")

    def __init__(self, target: str) -> None:
        if not target.startswith("/") and "://" in target:  # as it is sent to a proxy
            parts = urlsplit(target)
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        path, _, query = target.partition("#")[0].partition("?")
        self.raw_path = path
        self.raw_query_string = query


class HttpRequest:
    """A request whose body has arrived.

    Attributes:
        keeps_alive: whether the caller wants to use its connection again.
        chunks: whether the caller can read an answer of unknown length.
        answered: whether an answer has begun.
    """

    __slots__ = (
        "_body",
        "answered",
        "chunks",
        "headers",
        "keeps_alive",
        "method",
        "rel_url",
        "sink",
    )

    def __init__(
        self,
        method: str,
        rel_url: RequestTarget,
        headers: CIMultiDict[str],
        body: bytes,
        sink: Sink,
        *,
        keeps_alive: bool = True,
        chunks: bool = True,
    ) -> None:
        self.method = method
        self.rel_url = rel_url
        self.headers = headers
        self.keeps_alive = keeps_alive
        self.chunks = chunks
        self.sink = sink
        self.answered = False
        self._body = body

    @property
    def remote(self) -> str | None:
        """The caller's address."""
        return self.sink.remote

    async def read(self) -> bytes:
        """The whole body as it was sent."""
        return self._body

    @property
    def query(self) -> MultiDict[str]:
        """The decoded query."""
        return MultiDict(parse_qsl(self.rel_url.raw_query_string, keep_blank_values=True))


class StreamResponse:
    """An answer that is sent in pieces: `prepare`, `feed` as often as needed, `write_eof`.

    Attributes:
        last: whether the connection ends with this answer.
    """

    __slots__ = ("_chunked", "_head", "_silent", "_sink", "headers", "last", "reason", "status")

    def __init__(
        self,
        status: int = 200,
        reason: str | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = CIMultiDict[str](headers)
        self.last = False
        self._head: bytes | None = None
        self._sink: Sink | None = None
        self._chunked = self._silent = False

    @property
    def begun(self) -> bool:
        """Whether it has been sent, in part at least."""
        return self._sink is not None

    async def prepare(self, request: HttpRequest) -> None:
        """Fixes the head. It is sent with the first piece."""
        self._sink = request.sink
        request.answered = True
        self._silent = request.method == "HEAD" or self.status in _NO_BODY
        self._chunked = request.chunks and not self._silent
        if self._chunked:
            self.headers["Transfer-Encoding"] = "chunked"
        elif not self._silent:
            self.last = True
        self._head = self._head_bytes(request)

    def feed(self, data: bytes) -> bool:
        """Sends a piece, and the head before it. An empty piece sends the head alone.

        Returns whether there is room for more before `drain`. Raises ConnectionResetError once the
        caller has left.
        """
        assert self._sink is not None
        return self._sink.send(self._framed(data))

    async def drain(self) -> None:
        """Returns when the caller has taken most of what was sent. Raises ConnectionResetError."""
        assert self._sink is not None
        await self._sink.drain()

    async def write_eof(self) -> None:
        """Sends what says that this is the whole answer."""
        assert self._sink is not None
        end = b"0\r\n\r\n" if self._chunked else b""
        self._sink.send(self._take_head() + end)

    def _framed(self, data: bytes) -> bytes:
        head = self._take_head()
        if self._silent or not data:
            return head
        if not self._chunked:
            return head + data
        return b"%b%x\r\n%b\r\n" % (head, len(data), data)

    def _take_head(self) -> bytes:
        head, self._head = self._head or b"", None
        return head

    def _head_bytes(self, request: HttpRequest) -> bytes:
        if not request.keeps_alive or self.headers.get("Connection") == "close":
            self.last = True
        if self.last:
            self.headers["Connection"] = "close"
        return head_bytes(status_line(self.status, self.reason), self.headers.items())


class HttpResponse(StreamResponse):
    """An answer whose whole body is known."""

    __slots__ = ("body",)

    def __init__(
        self,
        body: bytes = b"",
        status: int = 200,
        reason: str | None = None,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        content_type: str | None = None,
    ) -> None:
        super().__init__(status, reason, headers)
        self.body = body
        if content_type is not None:
            self.headers["Content-Type"] = content_type

    def send(self, request: HttpRequest) -> None:
        """Sends all of it. Raises ConnectionResetError once the caller has left."""
        if self.status not in _NO_BODY:
            self.headers["Content-Length"] = str(len(self.body))
        head = self._head_bytes(request)
        self._sink = request.sink
        if request.method == "HEAD" or self.status in _NO_BODY:
            request.sink.send(head)
        elif len(self.body) <= _JOINED_MAX:
            request.sink.send(head + self.body)
        else:
            request.sink.send(head, self.body)
