"""A scripted OpenAI-like server: says what the test tells it to, and remembers what it was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDictProxy
from yarl import URL

from scepsy.core.trace import Call
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import Gateway, running
from scepsy.store import read_traces

CHAT = "/v1/chat/completions"

Script = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Peer:
    script: Script
    url: str = ""
    paths: list[str] = field(default_factory=list)
    headers: list[list[tuple[str, str]]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def calls(self) -> int:
        return len(self.bodies)

    def header_names(self) -> set[str]:
        return {name.lower() for name, _ in self.headers[-1]}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/health":
            return web.Response(text="ok")
        self.paths.append(request.raw_path)
        self.headers.append(list(request.headers.items()))
        self.bodies.append(await request.read())
        try:
            return await self.script(request)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@asynccontextmanager
async def peer(script: Script) -> AsyncGenerator[Peer, None]:
    one = Peer(script)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", one.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield one
    finally:
        await runner.cleanup()


@asynccontextmanager
async def gateway_to(
    script: Script, traces: Path | None = None, **fields: object
) -> AsyncGenerator[tuple[Peer, Gateway], None]:
    """A gateway with one replica of `m`."""
    async with peer(script) as engine:
        route = Route(llm="m", replica="m-0", url=engine.url)
        place = None if traces is None else str(traces)
        config = GatewayConfig(routes=(route,), traces=place, **fields)  # pyright: ignore
        async with running(config) as gateway:
            yield engine, gateway


@dataclass(frozen=True)
class Back:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def send(
    http: aiohttp.ClientSession, url: str, body: object, method: str = "POST", **headers: str
) -> Back:
    """Bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **headers}
    request = http.request(method, URL(url, encoded=True), data=data or None, headers=sent)
    async with request as response:
        return Back(response.status, response.headers, await response.read())


async def ask_admin(
    http: aiohttp.ClientSession,
    gateway: Gateway,
    path: str,
    body: object = b"",
    method: str = "GET",
    **headers: str,
) -> Back:
    """Asks at the admin address, with its key."""
    return await send(
        http, gateway.admin.url + path, body, method, **{**gateway.admin.headers, **headers}
    )


async def until(holds: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what is waited for is another process, or a counter
            await asyncio.sleep(0.01)


def the_call(traces: Path) -> Call:
    """The only call in a trace directory."""
    (call,) = all_calls(traces)
    return call


def all_calls(traces: Path) -> list[Call]:
    found = read_traces(traces)
    return [*found.unassigned, *(call for trace in found.traces for call in trace.calls)]


def says(body: bytes, status: int = 200, headers: Mapping[str, str] = {}) -> Script:
    async def script(_: web.Request) -> web.StreamResponse:
        sent = {"Content-Type": "application/json", **headers}
        return web.Response(body=body, status=status, headers=sent)

    return script


def streams(
    *chunks: bytes, then: Callable[[web.Request], Awaitable[object]] | None = None
) -> Script:
    async def script(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0.002)
        if then is not None:
            await then(request)
        await response.write_eof()
        return response

    return script


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def cut(request: web.Request) -> None:
    """Drops the connection without ending the answer."""
    assert request.transport is not None
    request.transport.abort()
    await asyncio.sleep(0)


@dataclass
class RawPeer:
    """A server that speaks bytes; `None` from its script drops the connection without an answer."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return len(self.bodies)


@asynccontextmanager
async def raw_peer(
    script: Callable[[bytes], bytes | None], port: int = 0
) -> AsyncGenerator[RawPeer, None]:
    """`script` maps the body of a POST to the bytes of the whole answer; GETs are healthy."""
    one = RawPeer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                sizes = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
                body = await reader.readexactly(sizes[0] if sizes else 0)
                answer: bytes | None = http_answer(b"ok", type="text/plain")
                if head.startswith(b"POST"):
                    one.heads.append(head)
                    one.bodies.append(body)
                    answer = script(body)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 20)
    try:
        one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield one
    finally:
        server.close()


@asynccontextmanager
async def bytes_server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncGenerator[str, None]:
    """The URL of a server that does with each connection what `serve` says, and then closes it."""

    async def close_after(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(close_after(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    [size] = [x[15:] for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")]
    return await reader.readexactly(int(size))


def http_answer(
    body: bytes, status: int = 200, type: str = "application/json", headers: bytes = b""
) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + headers + b"\r\n" + body


def sse(*lines: bytes) -> bytes:
    return http_answer(b"".join(lines), type="text/event-stream")


def completion(text: str = "hello", **usage: object) -> bytes:
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, **usage},
        }
    ).encode()


def chunk(text: str) -> bytes:
    delta = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return _event({"choices": [delta], "usage": None})


def usage_chunk(prompt: int = 7, output: int = 2) -> bytes:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    return _event({"choices": [], "usage": usage})


DONE = b"data: [DONE]\n\n"


def _event(fields: dict[str, object]) -> bytes:
    common = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**common, **fields}).encode() + b"\n\n"
