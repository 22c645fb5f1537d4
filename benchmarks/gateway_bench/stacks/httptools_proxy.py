"""A bare proxy of asyncio protocols on httptools, with a pool of connections:
`python -m gateway_bench.stacks.httptools_proxy PORT_OF_ENGINE [uvloop]`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools

_DROPPED = (b"host", b"content-length", b"connection", b"transfer-encoding")
_pool: list[_ToEngine] = []


class _ToEngine(asyncio.Protocol):
    caller: _FromCaller | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has classes of its own
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        kept = [(k, v) for k, v in self._headers if k.lower() not in _DROPPED]
        self._whole: list[bytes] = []
        self._streams = any(v.startswith(b"text/event-stream") for _, v in kept)
        lines = b"".join(b"%s: %s\r\n" % one for one in kept)
        self._head = b"HTTP/1.1 %d OK\r\n%s" % (self._parser.get_status_code(), lines)
        if self._streams:
            self._whole.append(self._head + b"Transfer-Encoding: chunked\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if not self._streams:
            self._whole.append(body)
            return
        assert self.caller is not None
        chunk = b"%x\r\n%s\r\n" % (len(body), body)
        self.caller.transport.write(b"".join((*self._whole, chunk)))
        self._whole.clear()

    def on_message_complete(self) -> None:
        assert self.caller is not None
        if self._streams:
            self.caller.transport.write(b"0\r\n\r\n")
        else:
            body = b"".join(self._whole)
            self.caller.transport.write(
                b"%sContent-Length: %d\r\n\r\n%s" % (self._head, len(body), body)
            )
        self.caller = None
        _pool.append(self)


class _FromCaller(asyncio.Protocol):
    def __init__(self, engine: str) -> None:
        self._engine = engine

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has classes of its own
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._relay())

    async def _relay(self) -> None:
        if _pool:
            engine = _pool.pop()
        else:
            loop = asyncio.get_running_loop()
            _, engine = await loop.create_connection(_ToEngine, "127.0.0.1", int(self._engine))
        engine.caller = self
        lines = b"".join(
            b"%s: %s\r\n" % (k, v) for k, v in self._headers if k.lower() not in _DROPPED
        )
        engine.transport.write(
            b"%s %s HTTP/1.1\r\nHost: engine\r\n%sContent-Length: %d\r\n\r\n%s"
            % (self._parser.get_method(), self._url, lines, len(self._body), self._body)
        )


async def main(engine: str) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _FromCaller(engine), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    if "uvloop" in sys.argv:
        import uvloop

        uvloop.run(main(sys.argv[1]))
    else:
        asyncio.run(main(sys.argv[1]))
