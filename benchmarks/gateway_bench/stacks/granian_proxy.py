"""A bare proxy: granian (Rust) faces the callers through RSGI, httptools faces the engine:
`python -m gateway_bench.stacks.granian_proxy PORT_OF_ENGINE [uvloop]`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any, cast

import httptools

_pool: list[_ToEngine] = []


class _ToEngine(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has classes of its own
        self._parser = httptools.HttpResponseParser(self)
        self.answer: asyncio.Queue[bytes] = asyncio.Queue()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.kind = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self.kind = value

    def on_body(self, body: bytes) -> None:
        self.answer.put_nowait(body)

    def on_message_complete(self) -> None:
        self.answer.put_nowait(b"")


async def app(scope: Any, protocol: Any) -> None:
    body = await protocol()
    if _pool:
        engine = _pool.pop()
    else:
        loop = asyncio.get_running_loop()
        port = int(os.environ["ENGINE_PORT"])
        _, engine = await loop.create_connection(_ToEngine, "127.0.0.1", port)
    engine.transport.write(
        b"%s %s HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s"
        % (scope.method.encode(), scope.path.encode(), len(body), body)
    )
    first = await engine.answer.get()
    headers = [("content-type", engine.kind.decode())]
    if engine.kind.startswith(b"text/event-stream"):
        transport = protocol.response_stream(200, headers)
        while first:
            await transport.send_bytes(first)
            first = await engine.answer.get()
    else:
        parts = [first]
        while part := await engine.answer.get():
            parts.append(part)
        protocol.response_bytes(200, headers, b"".join(parts))
    _pool.append(engine)


if __name__ == "__main__":
    from granian import Granian
    from granian.constants import Interfaces, Loops

    os.environ["ENGINE_PORT"] = sys.argv[1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    Granian(
        "gateway_bench.stacks.granian_proxy:app",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop if "uvloop" in sys.argv else Loops.asyncio,
        log_enabled=False,
    ).serve()
