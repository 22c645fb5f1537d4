"""Closed-loop load: each connection sends its next request when it has the answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import httptools

from gateway_bench.wire import CHUNKS, request


@dataclass
class Load:
    """The outcome: wall seconds, and requests that had the wrong status or too few events."""

    seconds: float = 0.0
    wrong: int = 0
    reads: int = 0


@dataclass
class _Job:
    port: int
    stream: bool
    left: int
    offset: int
    load: Load = field(default_factory=Load)

    def next_request(self) -> bytes | None:
        if self.left == 0:
            return None
        self.left -= 1
        return request(self.offset + self.left, host=f"127.0.0.1:{self.port}", stream=self.stream)


class _Caller(asyncio.Protocol):
    def __init__(self, job: _Job, done: asyncio.Future[None]) -> None:
        self._job, self._done = job, done
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        sent = self._job.next_request()
        if sent is None:
            self._transport.close()
            return
        self._parser = httptools.HttpResponseParser(self)
        self._body = []
        self._transport.write(sent)

    def data_received(self, data: bytes) -> None:
        self._job.load.reads += 1
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        enough = body.count(b"data: ") > CHUNKS if self._job.stream else b"second document" in body
        if self._parser.get_status_code() != 200 or not enough:
            self._job.load.wrong += 1
        asyncio.get_running_loop().call_soon(self._send)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


async def drive(port: int, *, stream: bool, requests: int, width: int, offset: int = 0) -> Load:
    """Sends `requests` requests. The numbers of their chats begin at `offset`.

    Raises RuntimeError where an answer is wrong or missing: what was measured would mean nothing.
    """
    loop = asyncio.get_running_loop()
    job = _Job(port, stream, requests, offset)
    ends = [loop.create_future() for _ in range(width)]
    began = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: _Caller(job, end), "127.0.0.1", port)
    async with asyncio.timeout(300):
        await asyncio.gather(*ends)
    job.load.seconds = time.perf_counter() - began
    if job.load.wrong or job.left:
        raise RuntimeError(f"{job.load.wrong} wrong answers, {job.left} requests not sent")
    return job.load
