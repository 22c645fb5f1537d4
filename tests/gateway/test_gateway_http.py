"""The gateway's own HTTP: limits in time and size, odd requests, and connections to engines."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from gateway_peers import (
    CHAT,
    ask_admin,
    bytes_server,
    chunk,
    completion,
    gateway_to,
    hang,
    http_answer,
    raw_peer,
    read_request,
    says,
    send,
    streams,
    until,
)

from scepsy.gateway.config import GatewayConfig, HttpLimits, KeysConfig, Route
from scepsy.gateway.server import running
from scepsy.gateway.wire.sse import EventSplitter

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).encode()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def request(body: bytes = BODY, headers: str = "", version: str = "1.1") -> bytes:
    head = f"POST {CHAT} HTTP/{version}\r\nHost: h\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@asynccontextmanager
async def connection(
    url: str,
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter], None]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer_to(url: str, *pieces: bytes) -> bytes:
    """All that comes back until the gateway closes the connection."""
    async with connection(url) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 20)


def error_of(answer: bytes) -> dict[str, Any]:
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"POST " + CHAT.encode() + b" HTTP/1.1\r\nHost: h\r\n", "the headers took longer"),
        (request()[:-5], "the body took longer"),
    ],
)
async def test_a_request_that_does_not_come_is_refused_in_time(sent: bytes, code: str):
    limits = HttpLimits(head=0.2, body=0.2)
    async with gateway_to(says(completion()), limits=limits) as (engine, gateway):
        back = await answer_to(gateway.url, sent)
    assert back.startswith(b"HTTP/1.1 408 ")
    assert code in error_of(back)["message"]
    assert engine.calls == 0


async def test_half_sent_bodies_turn_nobody_away(http: aiohttp.ClientSession):
    async with gateway_to(says(completion()), most_in_flight=2) as (_, gateway):
        parts = urlsplit(gateway.url)
        halves = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(8)]
        for _, writer in halves:
            writer.write(request()[:-5])
            await writer.drain()
        assert (await send(http, gateway.url + CHAT, BODY)).status == 200
        for _, writer in halves:
            writer.close()


async def test_an_idle_connection_is_closed():
    async with gateway_to(says(completion()), limits=HttpLimits(idle=0.3)) as (_, gateway):
        assert await answer_to(gateway.url) == b""
        back = await answer_to(gateway.url, request())
    assert back.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_413(chunked: bool):
    large = b"x" * 4_000
    head, _, body = request(large).partition(b"\r\n\r\n")
    if chunked:
        head = head.replace(b"Content-Length: 4000", b"Transfer-Encoding: chunked")
        body = b"fa0\r\n" + large + b"\r\n0\r\n\r\n"
    limits = HttpLimits(body_bytes=3_000)
    async with gateway_to(says(completion()), limits=limits) as (engine, gateway):
        back = await answer_to(gateway.url, head + b"\r\n\r\n" + body)
        assert (await answer_to(gateway.url, request(headers="Connection: close\r\n")))[
            9:12
        ] == b"200"
    assert back.startswith(b"HTTP/1.1 413 ")
    assert "larger than 3000 bytes" in error_of(back)["message"]
    assert engine.calls == 1


async def test_connections_beyond_the_limit_are_503(http: aiohttp.ClientSession):
    async with gateway_to(says(completion()), limits=HttpLimits(connections=1)) as (_, gateway):
        async with connection(gateway.url):
            await asyncio.sleep(0.05)
            back = await answer_to(gateway.url)
            assert back.startswith(b"HTTP/1.1 503 ")
            assert error_of(back)["code"] == "too_many_connections"
        await asyncio.sleep(0.05)
        assert (await send(http, gateway.url + CHAT, BODY)).status == 200


async def test_a_caller_that_does_not_read_is_left(http: aiohttp.ClientSession):
    async def flood(request_: Any) -> Any:
        return await streams(*[chunk("x" * 60_000)] * 400, then=hang)(request_)

    async with gateway_to(flood, limits=HttpLimits(taking=0.3)) as (engine, gateway):
        async with connection(gateway.url) as (_, writer):
            writer.transport.pause_reading()  # pyright: ignore
            writer.write(request(b'{"model":"m","stream":true}'))
            await asyncio.wait_for(engine.cancelled.wait(), 20)
        back = await ask_admin(http, gateway, "/scepsy/status")
        assert back.json()["in_flight"] == 0


async def test_pipelined_requests_are_answered_in_order():
    answers = iter("abcdefghijkl")

    async with (
        raw_peer(lambda _: http_answer(completion(next(answers)))) as peer,
        running(config(peer.url)) as gateway,
    ):
        last = request(headers="Connection: close\r\n")
        back = await answer_to(gateway.url, request() * 9 + last)
    assert back.count(b"HTTP/1.1 200 ") == 10
    places = [back.index(f'"content": "{letter}"'.encode()) for letter in "abcdefghij"]
    assert places == sorted(places)


async def test_an_offer_of_another_protocol_is_ignored():
    """Java's client offers HTTP/2 so; the parser would take what follows for that protocol."""
    offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    for cut in (None, -20):
        async with gateway_to(says(completion()), limits=HttpLimits(idle=0.3)) as (engine, gateway):
            whole = request(headers=offer)
            pieces = (whole,) if cut is None else (whole[:cut], whole[cut:])
            back = await answer_to(gateway.url, *pieces)
        assert back.startswith(b"HTTP/1.1 200 ")
        assert engine.bodies == [BODY]


async def test_a_tunnel_is_refused():
    async with gateway_to(says(completion())) as (_, gateway):
        back = await answer_to(gateway.url, b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n")
    assert back.startswith(b"HTTP/1.1 400 ")


async def test_http_1_0_gets_no_chunks():
    script = streams(chunk("one"), chunk("two"))
    async with gateway_to(script) as (_, gateway):
        back = await answer_to(gateway.url, request(b'{"model":"m","stream":true}', "", "1.0"))
    head, _, body = back.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body == chunk("one") + chunk("two")


@pytest.mark.parametrize("value", [b"caf\xc3\xa9", b"caf\xe9", b"\x80\xff"])
async def test_header_bytes_beyond_ascii_pass_both_ways(value: bytes):
    answer = http_answer(completion(), headers=b"X-Odd: " + value + b"\r\n")
    async with raw_peer(lambda _: answer) as peer, running(config(peer.url)) as gateway:
        head, _, body = request(headers="Connection: close\r\n").partition(b"\r\n\r\n")
        back = await answer_to(gateway.url, head + b"\r\nX-Own: " + value + b"\r\n\r\n" + body)
    assert b"x-odd: " + value + b"\r\n" in back.replace(b"X-Odd", b"x-odd")
    assert b"X-Own: " + value + b"\r\n" in peer.heads[0]


async def test_malformed_requests_write_no_traceback(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with gateway_to(says(completion())) as (_, gateway):
        for bad in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST\r\n\r\n"):
            assert (await answer_to(gateway.url, bad)).startswith(b"HTTP/1.1 400 ")
    assert not [record for record in caplog.records if record.exc_info]


async def test_an_answer_that_nobody_asked_for_goes_to_nobody(http: aiohttp.ClientSession):
    """Two answers to the first call: the second one must not be taken for that of the next."""
    for gap in (0.0, 0.05):
        async with gateway_to_talkative(gap) as (peer_calls, url):
            first = await send(http, url + CHAT, {"model": "m", "n": 1})
            await asyncio.sleep(2 * gap)
            second = await send(http, url + CHAT, {"model": "m", "n": 2})
        assert b"for 1" in first.body
        assert b"for 2" in second.body
        assert peer_calls == [1, 2]


@asynccontextmanager
async def gateway_to_talkative(gap: float) -> AsyncGenerator[tuple[list[int], str], None]:
    calls: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            calls.append(json.loads(await read_request(reader))["n"])
            answer = http_answer(completion(f"for {calls[-1]}"))
            stray = answer.replace(b"for", b"too")
            writer.write(answer if gap else answer + stray)
            await asyncio.sleep(gap)
            writer.write(stray)
            await writer.drain()

    async with bytes_server(serve) as url, running(config(url)) as gateway:
        yield calls, gateway.url


def config(url: str, traces: Path | None = None) -> GatewayConfig:
    routes = (Route(llm="m", replica="m-0", url=url),)
    return GatewayConfig(routes=routes, traces=None if traces is None else str(traces))


async def test_a_connection_that_closes_each_time_gets_each_post_once(
    http: aiohttp.ClientSession, tmp_path: Path
):
    """No header announces that the server closes the idle connection after each answer."""
    calls: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(await read_request(reader))
        writer.write(http_answer(completion()))
        writer.close()

    async with bytes_server(serve) as url, running(config(url, tmp_path)) as gateway:
        for _ in range(20):
            assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200
    assert len(calls) == 20


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}", b"{}"),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", b"{}"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
        (CHUNKED + b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\nTrailer: 1\r\n\r\n", b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)  # fmt: skip
async def test_an_answer_ends_where_http_says(
    http: aiohttp.ClientSession, answer: bytes, body: bytes
):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        writer.write_eof()
        await reader.read()

    async with bytes_server(serve) as url, running(config(url)) as gateway:
        back = await send(http, gateway.url + CHAT, {"model": "m"})
    assert back.body == body
    assert back.status in (200, 204)


async def test_every_address_that_is_announced_answers(http: aiohttp.ClientSession):
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    for host in ("::", "0.0.0.0", "127.0.0.1", "::1"):
        async with running(GatewayConfig(host=host, keys=KeysConfig(mode="off"))) as gateway:
            assert (await send(http, gateway.url + "/health", b"", "GET")).status == 200


async def test_the_pool_forgets_connections_that_are_idle(http: aiohttp.ClientSession):
    open_now: set[int] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(id(writer))
        try:
            while await read_request(reader):
                writer.write(http_answer(completion()))
        finally:
            open_now.discard(id(writer))

    async with bytes_server(serve) as url, running(config(url)) as gateway:
        for _ in range(3):
            await send(http, gateway.url + CHAT, {"model": "m"})
        assert len(open_now) == 1
        await until(lambda: not open_now, 20)


async def test_an_event_that_does_not_end_is_an_error(http: aiohttp.ClientSession):
    script = streams(chunk("one"), b"data: " + b"x" * 5_000, then=hang)
    limits = HttpLimits(event_bytes=4_000)
    async with gateway_to(script, limits=limits) as (engine, gateway):
        back = await send(http, gateway.url + CHAT, {"model": "m", "stream": True})
        await asyncio.wait_for(engine.cancelled.wait(), 20)
    assert back.body.startswith(chunk("one") + b'data: {"error":')
    assert b"larger than 4000 bytes" in back.body


def test_an_event_in_small_pieces_costs_time_by_its_bytes():
    """Looking at all of it again for each piece would look at 250 GB."""
    splitter = EventSplitter()
    for _ in range(500_000):
        assert splitter.feed(b"x") == []
    assert splitter.feed(b"\n\n") == [b"x" * 500_000 + b"\n\n"]


async def test_a_slow_caller_makes_the_engine_wait(http: aiohttp.ClientSession):
    sent: list[int] = []

    async def script(request_: Any) -> Any:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request_)
        for number in range(400):
            await response.write(chunk("x" * 100_000))
            sent.append(number)
        return response

    async with gateway_to(script) as (_, gateway), connection(gateway.url) as (reader, writer):
        writer.transport.pause_reading()  # pyright: ignore
        writer.write(request(b'{"model":"m","stream":true}', "Connection: close\r\n"))
        await until(lambda: sent)
        await asyncio.sleep(0.5)
        before = len(sent)
        writer.transport.resume_reading()  # pyright: ignore
        body = await asyncio.wait_for(reader.read(), 60)
    assert before < 300
    assert body.count(b"x" * 100_000) == 400
