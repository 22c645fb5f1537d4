"""No health check, however odd its answer, ends the others or delays them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from gateway_peers import CHAT, ask_admin, completion, http_answer, raw_peer, send

from scepsy.engines import free_port
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import Gateway, running
from scepsy.gateway.upstreams.health_check import ask_health

Answer = Callable[[asyncio.StreamWriter, str], Awaitable[None]]


def says(answer: bytes) -> Answer:
    async def script(writer: asyncio.StreamWriter, url: str) -> None:
        writer.write(answer.replace(b"URL", url.encode()))
        await writer.drain()

    return script


async def endless_headers(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(b"HTTP/1.1 503 X\r\n")
    while True:
        writer.write(b"X-More: and more\r\n" * 100)
        await writer.drain()


async def endless_line(writer: asyncio.StreamWriter, _: str) -> None:
    while True:
        writer.write(b"HTTP/1.1 " * 100)
        await writer.drain()


async def trickle(writer: asyncio.StreamWriter, _: str) -> None:
    for byte in b"HTTP/1.1 200 " + b"X" * 1000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def nothing(_: asyncio.StreamWriter, __: str) -> None:
    await asyncio.Event().wait()


ODD: dict[str, Answer] = {
    "redirect to itself": says(b"HTTP/1.1 302 X\r\nLocation: URL/health\r\n\r\n"),
    "redirect to nowhere": says(b"HTTP/1.1 302 X\r\nLocation: http://[::1\r\n\r\n"),
    "redirect without an address": says(b"HTTP/1.1 307 X\r\n\r\n"),
    "no HTTP": says(b"\x16\x03\x01\x00\xff" * 50 + b"\n"),
    "no number": says(b"HTTP/1.1 two X\r\n\r\n"),
    "odd digits": says("HTTP/1.1 ²²² X\r\n\r\n".encode()),
    "huge number": says(b"HTTP/1.1 200000000000000000000000000000 X\r\n\r\n"),
    "empty line": says(b"\r\n\r\n"),
    "closes": says(b""),
    "endless headers": endless_headers,
    "endless line": endless_line,
    "trickle": trickle,
    "silence": nothing,
}


@asynccontextmanager
async def odd_peer(answer: Answer) -> AsyncGenerator[str, None]:
    url = ""
    tasks = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(task := asyncio.current_task())  # pyright: ignore
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                await answer(writer, url)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            tasks.discard(task)  # pyright: ignore

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield url
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_answer_is_no_health(name: str) -> None:
    async with odd_peer(ODD[name]) as url:
        assert await ask_health(url, 0.5) != 200


async def test_a_dead_replica_comes_back_beside_replicas_with_odd_answers(
    http: aiohttp.ClientSession,
) -> None:
    """Slow ones would have delayed it by their timeout, five seconds, in each round."""
    port = free_port()
    async with AsyncExitStack() as stack:
        odd = [await stack.enter_async_context(odd_peer(answer)) for answer in ODD.values()]
        routes = [Route(llm=f"odd-{i}", replica=f"odd-{i}", url=url) for i, url in enumerate(odd)]
        routes.append(Route(llm="m", replica="m-0", url=f"http://127.0.0.1:{port}"))
        gateway = await stack.enter_async_context(running(GatewayConfig(routes=tuple(routes))))
        backs = [await send(http, gateway.url + CHAT, {"model": one.llm}) for one in routes]
        assert {back.status for back in backs} <= {502, 503}
        await asyncio.sleep(0.6)  # all of them are being asked
        back = await stack.enter_async_context(raw_peer(lambda _: http_answer(completion()), port))
        began = asyncio.get_running_loop().time()
        while not await healthy(http, gateway):  # noqa: ASYNC110 - another task sets it
            await asyncio.sleep(0.02)
        assert asyncio.get_running_loop().time() - began < 4.5
        assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200
        assert back.calls == 1


async def healthy(http: aiohttp.ClientSession, gateway: Gateway) -> bool:
    told = (await ask_admin(http, gateway, "/scepsy/status")).json()["replicas"]
    assert not [one for one in told if one["llm"] != "m" and one["healthy"]]
    return next(one["healthy"] for one in told if one["llm"] == "m")
