"""How often a call is sent, and which replica is blamed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateway_peers import (
    CHAT,
    RawPeer,
    all_calls,
    ask_admin,
    completion,
    http_answer,
    raw_peer,
    send,
    the_call,
)

from scepsy.engines import free_port
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import Gateway, running

GOOD = http_answer(completion())


def poisoned(body: bytes) -> bytes | None:
    return None if b"poison" in body else GOOD


async def peers(stack: AsyncExitStack, *scripts: Callable[[bytes], bytes | None]) -> list[RawPeer]:
    return [await stack.enter_async_context(raw_peer(script)) for script in scripts]


def config(traces: Path, urls: list[str], **fields: object) -> GatewayConfig:
    """The first is the one that an idle gateway asks first."""
    routes = tuple(
        Route(llm="m", replica=f"m-{i}", url=url, capacity=0.1**i) for i, url in enumerate(urls)
    )
    return GatewayConfig(routes=routes, traces=str(traces), **fields)  # pyright: ignore


async def replicas(http: aiohttp.ClientSession, gateway: Gateway) -> list[dict[str, Any]]:
    return (await ask_admin(http, gateway, "/scepsy/status")).json()["replicas"]


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_a_call_that_kills_engines_is_retried_on_few_of_them(
    http: aiohttp.ClientSession, tmp_path: Path, warm: bool, limit: int
):
    async with AsyncExitStack() as stack:
        three = await peers(stack, poisoned, poisoned, poisoned)
        urls = [peer.url for peer in three]
        async with running(config(tmp_path, urls, max_sends=limit)) as gateway:
            if warm:
                await send(http, gateway.url + CHAT, {"model": "m"})
            before = sum(peer.calls for peer in three)
            back = await send(http, gateway.url + CHAT, {"model": "m", "x": "poison"})
            seen = await replicas(http, gateway)
            assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200
    assert (back.status, back.json()["error"]["code"]) == (502, "engine_died")
    assert sum(peer.calls for peer in three) - before - 1 == limit
    assert [one["healthy"] for one in seen].count(False) == 1


async def test_a_single_replica_gets_at_most_two_attempts(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with raw_peer(poisoned) as peer, running(config(tmp_path, [peer.url])) as gateway:
        back = await send(http, gateway.url + CHAT, {"model": "m", "x": "poison"})
        [seen] = await replicas(http, gateway)
    assert (back.status, peer.calls, seen["failed"]) == (502, 2, 1)


async def test_failed_connections_do_not_count_as_attempts(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with raw_peer(lambda _: GOOD) as peer:
        gone = [f"http://127.0.0.1:{free_port()}" for _ in range(3)]
        async with running(config(tmp_path, [*gone, peer.url])) as gateway:
            assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200
    assert the_call(tmp_path).replica == "m-3"


async def test_a_5xx_that_is_returned_is_its_own_replicas(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with AsyncExitStack() as stack:
        bad = http_answer(b'{"error": {"message": "bad luck"}}', 500)
        two = await peers(stack, lambda _: bad, lambda _: None)
        async with running(config(tmp_path, [peer.url for peer in two])) as gateway:
            back = await send(http, gateway.url + CHAT, {"model": "m"})
            seen = await replicas(http, gateway)
    assert (back.status, back.json()["error"]["message"]) == (500, "bad luck")
    assert the_call(tmp_path).replica == "m-0"
    assert [one["failed"] for one in seen] == [1, 1]


@pytest.mark.parametrize(
    "answer",
    [
        http_answer(b"{}", headers=b"X-Large: " + b"x" * 100_000 + b"\r\n"),
        b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_an_answer_that_cannot_be_parsed_does_not_mark_a_replica_dead(
    http: aiohttp.ClientSession, tmp_path: Path, answer: bytes
):
    async with AsyncExitStack() as stack:
        two = await peers(stack, lambda _: answer, lambda _: answer)
        async with running(config(tmp_path, [peer.url for peer in two])) as gateway:
            back = await send(http, gateway.url + CHAT, {"model": "m"})
            seen = await replicas(http, gateway)
    assert (back.status, back.json()["error"]["code"]) == (502, "unreadable_answer")
    assert all(one["healthy"] for one in seen)
    assert sum(peer.calls for peer in two) == 2


async def test_an_event_stream_of_an_error_is_read_whole(
    http: aiohttp.ClientSession, tmp_path: Path
):
    body = b'data: {"error": {"message": "overloaded"}}\n\n' * 2
    answer = http_answer(body, 503, "text/event-stream")
    async with (
        raw_peer(lambda _: answer) as peer,
        running(config(tmp_path, [peer.url])) as gateway,
    ):
        back = await send(http, gateway.url + CHAT, {"model": "m", "stream": True})
    assert back.status == 503
    assert back.body == body
    assert [call.status for call in all_calls(tmp_path)] == [503]
