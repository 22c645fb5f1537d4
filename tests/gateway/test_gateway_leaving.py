"""Calls at a replica whose route was removed are counted until they end; a closed gateway takes no
new calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from gateway_peers import CHAT, chunk, gateway_to, peer, streams

from scepsy.deploy.gateway_client import close, closed, counts, drained, put_routes
from scepsy.errors import Unreachable
from scepsy.gateway.access.admin_access import AdminAccess
from scepsy.gateway.config import Route

BODY = {"model": "m", "stream": True}


async def test_a_call_is_counted_after_its_route_is_gone(http: aiohttp.ClientSession) -> None:
    go_on = asyncio.Event()

    async def wait(_: object) -> None:
        await go_on.wait()

    async with gateway_to(streams(chunk("one"), chunk("two"), then=wait)) as (old, gateway):
        async with (
            peer(streams(chunk("new"))) as new,
            http.post(gateway.url + CHAT, json=BODY) as a,
        ):
            got = await a.content.readany()
            await put_routes(gateway.admin, [Route(llm="m", replica="m-1", url=new.url)])
            told = {one.replica: one for one in (await counts(gateway.admin)).replicas}
            assert (told["m-0"].in_flight, told["m-0"].routed) == (1, False)
            assert (told["m-1"].in_flight, told["m-1"].routed) == (0, True)
            assert await drained(gateway.admin, ["m-0"], 0.2) == {"m-0": 1}
            async with http.post(gateway.url + CHAT, json=BODY) as b:
                assert await b.content.read() == chunk("new")
            assert old.calls == 1
            waiting = asyncio.create_task(drained(gateway.admin, ["m-0"], 60))
            go_on.set()
            assert got + await a.content.read() == chunk("one") + chunk("two")
            assert await waiting == {}
        assert [one.replica for one in (await counts(gateway.admin)).replicas] == ["m-1"]


async def test_a_route_that_comes_back_keeps_its_counts(http: aiohttp.ClientSession) -> None:
    go_on = asyncio.Event()

    async def wait(_: object) -> None:
        await go_on.wait()

    async with (
        gateway_to(streams(chunk("one"), then=wait)) as (engine, gateway),
        http.post(gateway.url + CHAT, json=BODY) as answer,
    ):
        await answer.content.readany()
        await put_routes(gateway.admin, [])
        await put_routes(gateway.admin, [Route(llm="m", replica="m-0", url=engine.url)])
        (one,) = (await counts(gateway.admin)).replicas
        assert (one.in_flight, one.routed) == (1, True)
        go_on.set()
        await answer.content.read()


async def test_a_closed_gateway_answers_what_is_in_flight_and_nothing_else(
    http: aiohttp.ClientSession,
) -> None:
    go_on = asyncio.Event()

    async def wait(_: object) -> None:
        await go_on.wait()

    async with (
        gateway_to(streams(chunk("one"), chunk("two"), then=wait)) as (_, gateway),
        http.post(gateway.url + CHAT, json=BODY) as answer,
    ):
        got = await answer.content.readany()
        await close(gateway.admin)
        async with http.post(gateway.url + CHAT, json=BODY) as refused:
            assert refused.status == 503
            assert (await refused.json())["error"]["code"] == "closing"
        go_on.set()
        assert got + await answer.content.read() == chunk("one") + chunk("two")


async def test_a_gateway_that_is_slow_to_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Slowness says nothing of the calls: a replica with calls must not be stopped for it."""
    asked = 0

    async def status(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked <= 2:
            await asyncio.sleep(60)
        left = int(asked == 3)
        counted = {"replica": "m-0", "in_flight": left, "served": 0, "failed": 0}
        return web.json_response({"in_flight": left, "replicas": [counted]})

    monkeypatch.setattr("scepsy.deploy.gateway_client._ANSWER_WITHIN", 0.2)
    app = web.Application()
    app.router.add_get("/scepsy/status", status)
    async with TestServer(app) as server:
        assert await drained(at(str(server.make_url("")).rstrip("/")), ["m-0"], 30) == {}
    assert asked == 4


def at(url: str) -> AdminAccess:
    return AdminAccess(url=url, key="k")


async def test_a_gateway_that_has_ended_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="does not answer"):
        await drained(at("http://127.0.0.1:1"), ["m-0"], 30)


async def test_a_closed_gateway_that_gets_new_routes_is_open_again(
    http: aiohttp.ClientSession,
) -> None:
    async with gateway_to(streams(chunk("one"))) as (engine, gateway):
        await close(gateway.admin)
        async with http.post(gateway.url + CHAT, json=BODY) as refused:
            assert refused.status == 503
        await put_routes(gateway.admin, [Route(llm="m", replica="m-0", url=engine.url)])
        async with http.post(gateway.url + CHAT, json=BODY) as answer:
            assert await answer.content.read() == chunk("one")


@pytest.mark.parametrize(
    "ask", [lambda url: drained(at(url), ["m-0"], 1e9), lambda url: closed(at(url), 1e9)]
)
async def test_nobody_waits_as_long_as_the_grace_for_a_gateway_that_hangs(
    ask: Callable[[str], Awaitable[dict[str, int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scepsy.deploy.gateway_client._ANSWER_WITHIN", 0.5)
    one = {"replica": "m-0", "in_flight": 2, "served": 0, "failed": 0}
    asked = 0

    async def hangs_later(request: web.BaseRequest) -> web.Response:
        nonlocal asked
        if request.method == "GET":
            asked += 1
            if asked > 1:
                await asyncio.Event().wait()
        return web.json_response({"in_flight": 2, "replicas": [one]})

    async with peer(hangs_later) as hung, asyncio.timeout(60):
        assert await ask(hung.url) == {"m-0": 2}
