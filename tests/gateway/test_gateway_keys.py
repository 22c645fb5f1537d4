"""API keys at a gateway: who is let in, what each key may do, and what becomes of the key."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from gateway_peers import (
    CHAT,
    Peer,
    ask_admin,
    chunk,
    completion,
    peer,
    says,
    send,
    streams,
    usage_chunk,
)
from postgres_server import postgres_server

from scepsy.errors import BadInput, Unreachable
from scepsy.gateway.access.api_keys import KeyLimits
from scepsy.gateway.access.key_store import KeyStore
from scepsy.gateway.access.opening import keys_are_asked_for
from scepsy.gateway.access.stores import open_store
from scepsy.gateway.config import GatewayConfig, KeysConfig, Route
from scepsy.gateway.server import Gateway, running

OK = says(completion("fine"))


@asynccontextmanager
async def keyed(
    tmp_path: Path, script: Any = OK, url: str | None = None, **fields: Any
) -> AsyncGenerator[tuple[Peer, Gateway, KeyStore]]:
    """A gateway that asks for keys, with one replica of `m`, and its store."""
    place = url or f"sqlite:///{tmp_path / 'keys.db'}"
    store = await asyncio.to_thread(open_store, place)
    try:
        async with peer(script) as engine:
            route = Route(llm="m", replica="m-0", url=engine.url)
            keys = KeysConfig(mode="on", store=place, refresh=0.1, **fields)
            async with running(GatewayConfig(routes=(route,), keys=keys)) as gateway:
                yield engine, gateway, store
    finally:
        store.close()


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def become(
    http: aiohttp.ClientSession, gateway: Gateway, secret: str, status: int, **fields: object
) -> None:
    """Calls until the answer has this status."""
    url, body = gateway.url + CHAT, {"model": "m", **fields}
    async with asyncio.timeout(30):
        while (await send(http, url, body, **bearer(secret))).status != status:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("mode", "host", "asked"),
    [
        ("auto", "127.0.0.1", False), ("auto", "::1", False), ("auto", "localhost", False),
        ("auto", "0.0.0.0", True), ("auto", "::", True), ("auto", "", True),
        ("auto", "10.0.0.1", True), ("auto", "gateway.example", True),
        ("on", "127.0.0.1", True), ("off", "0.0.0.0", False),
    ],
)  # fmt: skip
def test_off_loopback_keys_are_on_by_default(mode: str, host: str, asked: bool) -> None:
    assert keys_are_asked_for(mode, host) is asked


async def test_off_loopback_a_gateway_without_a_store_does_not_start() -> None:
    with pytest.raises(BadInput, match="--keys off"):
        async with running(GatewayConfig(host="0.0.0.0")):
            pass
    keys = KeysConfig(mode="on", store="postgresql://127.0.0.1:1/x")
    with pytest.raises(Unreachable, match="cannot be used"):
        async with running(GatewayConfig(keys=keys)):
            pass


async def test_who_has_no_key_is_not_let_in(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with keyed(tmp_path) as (engine, gateway, store):
        _, secret = store.create("a", KeyLimits(), time.time())
        for headers in ({}, bearer("sk-x"), {"x-api-key": ""}, bearer(""), bearer(secret[:-1])):
            for method, path in (("POST", CHAT), ("GET", "/v1/models"), ("POST", "/scepsy/runs")):
                back = await send(http, gateway.url + path, {"model": "m"}, method, **headers)
                assert back.status == 401
                assert back.json()["error"]["code"] == "invalid_api_key"
                assert back.json()["error"]["type"] == "invalid_request_error"
        assert engine.calls == 0
        assert (await send(http, gateway.url + "/health", b"", "GET")).status == 200
        for headers in (bearer(secret), {"x-api-key": secret}, {"api-key": secret}):
            back = await send(http, gateway.url + CHAT, {"model": "m"}, **headers)
            assert back.status == 200
        listed = await send(http, gateway.url + "/v1/models", b"", "GET", **bearer(secret))
        assert [one["id"] for one in listed.json()["data"]] == ["m"]


async def test_the_key_never_goes_to_an_engine_or_upstream(
    http: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTREAM_KEY", "sk-of-the-upstream")
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    _, secret = open_store(url).create("a", KeyLimits(), time.time())
    async with peer(OK) as engine, peer(OK) as upstream:
        config = GatewayConfig(
            routes=(Route(llm="m", replica="m-0", url=engine.url),),
            upstream=upstream.url,
            upstream_key_env="UPSTREAM_KEY",
            keys=KeysConfig(mode="on", store=url),
        )
        async with running(config) as gateway:
            for header in (bearer(secret), {"x-api-key": secret}, {"API-Key": secret}):
                everywhere = {**header, "Cookie": f"key={secret}"}
                for llm in ("m", "other"):
                    back = await send(http, gateway.url + CHAT, {"model": llm}, **everywhere)
                    assert back.status == 200
                await send(http, gateway.url + "/v1/models", b"", "GET", **everywhere)
    for one in (engine, upstream):
        assert secret not in repr((one.headers, one.bodies, one.paths))
    assert all(("Authorization", "Bearer sk-of-the-upstream") in one for one in upstream.headers)


async def test_limits_are_answered_in_openai_s_shape(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with keyed(tmp_path) as (engine, gateway, store):
        limits = KeyLimits(llms=("m",), workflows=("w",), requests_per_minute=2.0)
        _, secret = store.create("a", limits, time.time())

        async def ask(path: str, llm: str = "m") -> Any:
            return await send(http, gateway.url + path, {"model": llm}, **bearer(secret))

        other = await ask("/w/w" + CHAT, "x")
        assert (other.status, other.json()["error"]["code"]) == (403, "permission_denied")
        assert other.json()["error"]["param"] == "model"
        assert "'x'" in other.json()["error"]["message"]
        assert (await ask("/w/v" + CHAT)).status == 403
        assert engine.calls == 0
        assert [(await ask("/w/w" + CHAT)).status for _ in range(2)] == [200, 200]
        late = await ask("/w/w" + CHAT)
        assert late.status == 429
        assert 25 <= int(late.headers["Retry-After"]) <= 30
        assert late.json()["error"]["type"] == "rate_limit_error"
        assert "2 requests per minute" in late.json()["error"]["message"]
        assert engine.calls == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_are_counted_also_where_nothing_is_recorded(
    http: aiohttp.ClientSession, tmp_path: Path, stream: bool
) -> None:
    whole = completion("fine")
    script = streams(chunk("a"), usage_chunk()) if stream else says(whole)
    async with keyed(tmp_path, script) as (engine, gateway, store):
        _, secret = store.create("a", KeyLimits(tokens_per_minute=1.0), time.time())
        body = {"model": "m", "stream": stream}
        first = await send(http, gateway.url + CHAT, body, **bearer(secret))
        assert first.status == 200
        second = await send(http, gateway.url + CHAT, body, **bearer(secret))
        assert second.status == 429
        assert "tokens per minute" in second.json()["error"]["message"]
        assert int(second.headers["Retry-After"]) > 30
        assert engine.calls == 1


async def test_calls_at_once_end_with_the_caller_too(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    go_on = asyncio.Event()

    async def wait(_: object) -> None:
        await go_on.wait()

    async with keyed(tmp_path, streams(chunk("a"), then=wait)) as (_, gateway, store):
        _, secret = store.create("a", KeyLimits(calls_at_once=1), time.time())
        body = {"model": "m", "stream": True}
        url, headers = gateway.url + CHAT, bearer(secret)
        async with http.post(url, json=body, headers=headers) as held:
            await held.content.readany()
            assert (await send(http, url, body, **headers)).status == 429
            held.close()
        go_on.set()
        await become(http, gateway, secret, 200, stream=True)


async def test_new_and_revoked_keys_count_without_a_restart(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with keyed(tmp_path) as (_, gateway, store):
        url = gateway.url + CHAT
        key, secret = store.create("a", KeyLimits(), time.time())
        await become(http, gateway, secret, 200)
        new = store.rotate(key.id, 1000.0, time.time())
        await become(http, gateway, new, 200)
        assert (await send(http, url, {"model": "m"}, **bearer(secret))).status == 200
        store.revoke(key.id, time.time())
        await become(http, gateway, new, 401)


async def test_known_keys_work_while_the_store_is_away_for_a_stated_time(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    with postgres_server() as server:
        async with (
            keyed(tmp_path, url=server.url, offline=1e9) as (_, long, store),
            keyed(tmp_path, url=server.url, offline=1.0) as (_, short, _),
        ):
            _, secret = store.create("a", KeyLimits(), time.time())

            await become(http, long, secret, 200)
            await become(http, short, secret, 200)
            await asyncio.to_thread(server.stop)
            await become(http, short, secret, 503)
            url = long.url + CHAT
            assert (await send(http, url, {"model": "m"}, **bearer(secret))).status == 200
            await become(http, long, "sk-unknown", 503)  # it may be a new one
            await asyncio.to_thread(server.start)
            await become(http, short, secret, 200)
            await become(http, long, "sk-unknown", 401)


async def test_openai_s_client_presents_its_key(tmp_path: Path) -> None:
    async with keyed(tmp_path) as (_, gateway, store):
        _, secret = store.create("a", KeyLimits(), time.time())
        ask: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=secret) as client:
            assert (await client.chat.completions.create(**ask)).choices
        async with openai.AsyncOpenAI(
            base_url=f"{gateway.url}/v1", api_key="sk-x", max_retries=0
        ) as client:
            with pytest.raises(openai.AuthenticationError) as raised:
                await client.chat.completions.create(**ask)
            assert raised.value.code == "invalid_api_key"


async def test_anthropic_s_client_presents_its_key(tmp_path: Path) -> None:
    anthropic = pytest.importorskip("anthropic", reason="pip install anthropic")
    content = [{"type": "text", "text": "hi"}]
    message = {"id": "msg", "type": "message", "role": "assistant", "content": content}
    usage = {"input_tokens": 3, "output_tokens": 1}
    answer = {**message, "model": "m", "stop_reason": "end_turn", "usage": usage}
    async with keyed(tmp_path, says(json.dumps(answer).encode())) as (engine, gateway, store):
        _, secret = store.create("a", KeyLimits(), time.time())
        ask: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
        made: Any = {"base_url": gateway.url, "max_retries": 0}
        async with anthropic.AsyncAnthropic(api_key=secret, **made) as client:
            assert (await client.messages.create(**ask)).content[0].text == "hi"
        async with anthropic.AsyncAnthropic(api_key="sk-x", **made) as client:
            with pytest.raises(anthropic.AuthenticationError):
                await client.messages.create(**ask)
        assert engine.calls == 1
        assert secret not in repr(engine.headers)


async def test_stored_responses_and_helpers_want_a_key_and_do_not_pass_it_on(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with keyed(tmp_path) as (engine, gateway, store):
        _, secret = store.create("a", KeyLimits(), time.time())
        asked = (("GET", "/v1/responses/resp_1"), ("POST", "/v1/responses/resp_1/cancel"))
        for method, path in (*asked, ("POST", "/tokenize")):
            url, body = gateway.url + path, {"model": "m", "prompt": "hi"}
            assert (await send(http, url, body, method)).status == 401
            assert (await send(http, url, body, method, **bearer(secret))).status == 200
        assert engine.calls == 3
        assert secret not in repr(engine.headers)


async def test_the_admin_address_wants_the_admin_key_and_no_api_key(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with keyed(tmp_path) as (_, gateway, store):
        _, secret = store.create("a", KeyLimits(), time.time())
        url = gateway.admin.url + "/scepsy/status"
        assert (await send(http, url, b"", "GET", **bearer(secret))).status == 401
        assert (await ask_admin(http, gateway, "/scepsy/status")).status == 200
        back = await send(http, gateway.url + CHAT, {"model": "m"}, **bearer(gateway.admin.key))
        assert back.status == 401
