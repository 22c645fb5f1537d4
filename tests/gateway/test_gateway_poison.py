"""A call that kills replicas meets at most two of them, however often clients send it again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from gateway_peers import (
    CHAT,
    RawPeer,
    all_calls,
    ask_admin,
    chunk,
    completion,
    http_answer,
    peer,
    raw_peer,
    send,
)
from hypothesis import given
from hypothesis import strategies as st

from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import running
from scepsy.gateway.upstreams.poison import QUARANTINE, REPLICAS_MAX, PoisonWatch

GOOD = http_answer(completion())
BEGUN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"%x\r\n%b\r\n" % (len(chunk("one")), chunk("one"))
)


@asynccontextmanager
async def mortal(last_words: bytes) -> AsyncGenerator[RawPeer, None]:
    """A server that says `last_words` to a poison request and dies of it: nothing listens then."""
    one, server = RawPeer(), None

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert server is not None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                sizes = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
                body = await reader.readexactly(int(sizes[0][15:])) if sizes else b""
                if b"poison" in body:
                    one.bodies.append(body)
                    server.close()
                    writer.write(last_words)
                    break
                writer.write(GOOD)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield one
    finally:
        server.close()


@pytest.mark.parametrize("last_words", [b"", BEGUN])
async def test_a_poison_request_meets_at_most_two_replicas(
    http: aiohttp.ClientSession, tmp_path: Path, last_words: bytes
) -> None:
    """As clients do, it comes again and again."""
    async with AsyncExitStack() as stack:
        four = [await stack.enter_async_context(mortal(last_words)) for _ in range(4)]
        routes = tuple(Route(llm="m", replica=f"m-{i}", url=one.url) for i, one in enumerate(four))
        config = GatewayConfig(routes=routes, traces=str(tmp_path))
        gateway = await stack.enter_async_context(running(config))
        poison = {"model": "m", "stream": True, "x": "poison"}
        backs = [await send(http, gateway.url + CHAT, poison) for _ in range(9)]
        other = await send(http, gateway.url + CHAT, {"model": "m"})
    assert sum(one.calls for one in four) == 2
    assert backs[-1].status == 502
    assert "two replicas died" in backs[-1].json()["error"]["message"]
    assert other.status == 200
    sent = sum(call.attempts for call in all_calls(tmp_path) if call.status == 502)
    assert sent == 2


async def test_a_trace_tells_how_often_a_call_was_sent(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with raw_peer(lambda _: None) as one:
        route = Route(llm="m", replica="m-0", url=one.url)
        async with running(GatewayConfig(routes=(route,), traces=str(tmp_path))) as gateway:
            for _ in range(3):
                assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 502
    assert one.calls == sum(call.attempts for call in all_calls(tmp_path))


async def test_an_answer_that_cannot_be_decoded_is_no_death(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async def script(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Content-Encoding": "gzip"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(b"this is no gzip")
        return response

    async with peer(script) as one:
        route = Route(llm="m", replica="m-0", url=one.url)
        async with running(GatewayConfig(routes=(route,), traces=str(tmp_path))) as gateway:
            back = await send(http, gateway.url + CHAT, {"model": "m", "stream": True})
            told = (await ask_admin(http, gateway, "/scepsy/status")).json()
    assert b"error" in back.body
    assert (told["replicas"][0]["healthy"], told["replicas"][0]["failed"]) == (True, 1)


losses = st.lists(
    st.tuples(st.floats(0, 40), st.sampled_from("abc"), st.sampled_from(("r", "s", "t", ""))),
    max_size=40,
)


@given(losses)
def test_a_call_is_refused_after_two_replicas_and_for_no_longer(
    events: list[tuple[float, str, str]],
) -> None:
    """An empty replica stands for an answer. The model keeps everything."""
    watch, now = PoisonWatch(), 0.0
    known: dict[str, tuple[float, set[str]]] = {}
    for seconds, call, replica in events:
        now += seconds
        if not replica:
            watch.answered(call.encode())
            known.pop(call, None)
        else:
            watch.lost(call.encode(), replica, now)
            since, names = known.get(call, (now, set[str]()))
            known[call] = now, ({*names} if now - since < QUARANTINE else set()) | {replica}
        for one in "abc":
            since, names = known.get(one, (now, set[str]()))
            fresh = now - since < QUARANTINE
            wait = watch.refused_for(one.encode(), now)
            assert (wait is not None) == (fresh and len(names) >= REPLICAS_MAX)
            assert wait is None or -1e-6 < wait < QUARANTINE + 1e-6
    assert not watch or known


def test_the_memory_of_the_watch_is_bounded() -> None:
    watch = PoisonWatch()
    for number in range(10_000):
        watch.lost(number.to_bytes(4), "r", 0.0)
    assert watch.refused_for(b"none", QUARANTINE) is None
    assert not watch
