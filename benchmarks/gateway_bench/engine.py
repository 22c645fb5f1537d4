"""A fake engine with no work of its own: `python -m gateway_bench.engine`; prints its port.

A stream's chunks leave one by one, `GAP` seconds apart, as an engine's tokens do.
"""

from __future__ import annotations

import asyncio
import sys

import httptools

from gateway_bench.wire import STREAM_END, STREAM_HEAD, answer, stream_chunks

GAP = 0.004
_ANSWER = answer()
_CHUNKS = stream_chunks()
_MODELS = b'{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"bench"}]}'


def _whole(body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Engine(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._url = self._body = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if not self._url.endswith(b"/completions"):
            is_list = self._url.endswith(b"/models")
            self._transport.write(_whole(_MODELS if is_list else b'{"status": "ok"}'))
        elif b'"stream": true' in self._body or b'"stream":true' in self._body:
            self._transport.write(STREAM_HEAD)
            self._send(0)
        else:
            self._transport.write(_ANSWER)

    def _send(self, at: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(_CHUNKS[at])
        if at + 1 < len(_CHUNKS):
            asyncio.get_running_loop().call_later(GAP, self._send, at + 1)
        else:
            self._transport.write(STREAM_END)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(_Engine, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
