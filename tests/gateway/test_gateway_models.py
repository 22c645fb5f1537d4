"""Adapters and further names that engines serve."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from gateway_peers import CHAT, all_calls, completion, peer, send

from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import running
from scepsy.gateway.upstreams import served_models

Script = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serves(name: str, *models: dict[str, object]) -> Script:
    """An engine that lists these models, and refuses to answer for any other."""
    known = {str(model["id"]) for model in models}

    async def script(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({"object": "list", "data": list(models)})
        asked = json.loads(await request.read())["model"]
        if asked not in known:
            return web.json_response({"error": {"message": "not here"}}, status=404)
        return web.Response(body=completion(name))

    return script


BASE: dict[str, object] = {"id": "m", "root": "/weights/m", "parent": None, "max_model_len": 4096}
ADAPTER: dict[str, object] = {"id": "sql", "root": "/adapters/sql", "parent": "m"}
ALIAS: dict[str, object] = {**BASE, "id": "gpt-4o"}


async def test_adapters_and_aliases_go_where_they_are_served(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with (
        peer(serves("plain", BASE)) as plain,
        peer(serves("adapted", BASE, ADAPTER, ALIAS)) as adapted,
        peer(serves("other", {"id": "n"})) as other,
    ):
        routes = (
            Route(llm="m", replica="m-0", url=plain.url),
            Route(llm="m", replica="m-1", url=adapted.url + "/v1"),
            Route(llm="n", replica="n-0", url=other.url, max_context=77),
        )
        config = GatewayConfig(routes=routes, traces=str(tmp_path))
        async with running(config) as gateway:
            for name in ("sql", "gpt-4o", "sql"):
                back = await send(http, gateway.url + CHAT, {"model": name})
                assert back.body == completion("adapted")
            nobody = await send(http, gateway.url + CHAT, {"model": "nobody"})
            models = (await send(http, gateway.url + "/v1/models", b"", "GET")).json()["data"]
            one = (await send(http, gateway.url + "/v1/models/sql", b"", "GET")).json()
    assert nobody.json()["error"]["message"].endswith("the gateway serves gpt-4o, m, n, sql")
    told = {model["id"]: model for model in models}
    assert set(told) == {"m", "n", "sql", "gpt-4o"}
    assert {name: told["m"][name] for name in ("root", "parent", "max_model_len")} == {
        "root": "/weights/m",
        "parent": None,
        "max_model_len": 4096,
    }
    assert told["n"]["max_model_len"] == 77
    assert (one["root"], one["parent"]) == ("/adapters/sql", "m")
    assert {call.llm for call in all_calls(tmp_path)} == {"sql", "gpt-4o", "nobody"}


async def test_an_adapter_that_is_loaded_later_is_found(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
):
    models = [BASE]

    async def script(request: web.Request) -> web.StreamResponse:
        return await serves("m", *models)(request)

    async with peer(script) as engine:
        routes = (Route(llm="m", replica="m-0", url=engine.url),)
        async with running(GatewayConfig(routes=routes)) as gateway:
            monkeypatch.setattr(served_models, "_REFRESH_INTERVAL", 3600.0)
            for number in range(20):
                back = await send(http, gateway.url + CHAT, {"model": f"made-up-{number}"})
                assert back.status == 404
            assert engine.paths == ["/v1/models"]  # made-up names are no load on engines
            models.append(ADAPTER)
            monkeypatch.setattr(served_models, "_REFRESH_INTERVAL", 0.0)
            assert (await send(http, gateway.url + CHAT, {"model": "sql"})).status == 200


async def test_models_of_an_endpoint_without_a_route_are_not_reached(http: aiohttp.ClientSession):
    async with peer(serves("theirs", BASE, ADAPTER)) as theirs:
        routes = (Route(llm="m", replica="m-0", url=theirs.url, engine="endpoint"),)
        async with running(GatewayConfig(routes=routes)) as gateway:
            back = await send(http, gateway.url + CHAT, {"model": "sql"})
    assert (back.status, theirs.calls) == (404, 0)


async def test_malformed_model_lists_are_ignored(http: aiohttp.ClientSession):
    for body in (b"", b"[]", b'{"data": 3}', b'{"data": [3, {"id": 4}, {}]}', b"\xff"):

        async def script(request: web.Request, body: bytes = body) -> web.StreamResponse:
            return web.Response(body=body if request.method == "GET" else completion())

        async with peer(script) as engine:
            routes = (Route(llm="m", replica="m-0", url=engine.url),)
            async with running(GatewayConfig(routes=routes)) as gateway:
                models = await send(http, gateway.url + "/v1/models", b"", "GET")
                assert [model["id"] for model in models.json()["data"]] == ["m"]
                assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200
