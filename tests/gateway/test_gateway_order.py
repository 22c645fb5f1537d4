"""Which of a replica's waiting calls goes first, as the gateway tells it."""

from __future__ import annotations

import json

import aiohttp
from aiohttp import web

from gateway.gateway_peers import CHAT, peer, send
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import running


async def answer(_: web.Request) -> web.StreamResponse:
    return web.json_response({"choices": []})


async def test_calls_of_earlier_runs_go_first(http: aiohttp.ClientSession):
    async with peer(answer) as engine:
        route = Route(llm="m", replica="m-0", url=engine.url, ranked=True)
        async with running(GatewayConfig(routes=(route,))) as gateway:
            for run in ("a", "b", "a", None, "b"):
                named = {} if run is None else {"x-scepsy-run": run}
                await send(http, gateway.url + CHAT, {"model": "m"}, **named)
            await send(
                http, gateway.url + CHAT, {"model": "m", "priority": 5}, **{"x-scepsy-run": "a"}
            )
    first, second, again, alone, late, own = (
        json.loads(body)["priority"] for body in engine.bodies
    )
    assert first == again
    assert second == late
    assert first <= second <= alone
    assert own == 5


async def test_an_engine_without_priorities_gets_the_body_unchanged(http: aiohttp.ClientSession):
    async with peer(answer) as engine:
        routes = (
            Route(llm="m", replica="m-0", url=engine.url),
            Route(llm="theirs", replica="e", url=engine.url, engine="endpoint"),
        )
        async with running(GatewayConfig(routes=routes)) as gateway:
            for llm in ("m", "theirs"):
                body = f'{{ "model": "{llm}"}}'.encode()
                await send(http, gateway.url + CHAT, body, **{"x-scepsy-run": "a"})
                assert engine.bodies[-1] == body
