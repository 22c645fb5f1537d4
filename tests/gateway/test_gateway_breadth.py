"""Endpoints beside chat and completions: Anthropic's, stored responses, pooling, token counts."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from gateway_peers import (
    Peer,
    all_calls,
    ask_admin,
    cut,
    gateway_to,
    peer,
    says,
    send,
    streams,
    the_call,
)

from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import Gateway, running

MESSAGES = "/v1/messages"
ASKED = {
    "model": "m",
    "max_tokens": 64,
    "system": "be brief",
    "messages": [{"role": "user", "content": "weather?"}],
    "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
}
USAGE = {"input_tokens": 5, "cache_read_input_tokens": 16, "output_tokens": 9}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}},
    ],
    "stop_reason": "tool_use",
    "usage": USAGE,
}


def named(kind: str, **fields: object) -> bytes:
    data = json.dumps({"type": kind, **fields}).encode()
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


BEGIN = named(
    "message_start", message={**MESSAGE, "content": [], "usage": USAGE | {"output_tokens": 0}}
)
PIECE = {"type": "input_json_delta"}
EVENTS = [
    BEGIN,
    named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    named("content_block_delta", index=0, delta={"type": "text_delta", "text": "Let me "}),
    named("content_block_delta", index=0, delta={"type": "text_delta", "text": "see."}),
    named("content_block_stop", index=0),
    named(
        "content_block_start",
        index=1,
        content_block={"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
    ),
    named("content_block_delta", index=1, delta={**PIECE, "partial_json": '{"city":'}),
    named("content_block_delta", index=1, delta={**PIECE, "partial_json": '"Oslo"}'}),
    named("content_block_stop", index=1),
    named("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9}),
    named("message_stop"),
]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
async def test_a_message_is_passed_on_and_recorded(
    http: aiohttp.ClientSession, tmp_path: Path, stream: bool
):
    body = json.dumps(MESSAGE).encode()
    script = streams(*EVENTS) if stream else says(body)
    async with gateway_to(script, tmp_path) as (engine, gateway):
        asked = {**ASKED, "stream": stream}
        back = await send(http, gateway.url + MESSAGES, asked, **{"x-api-key": "k"})
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}
        more = [*ASKED["messages"], {"role": "user", "content": [result]}]  # pyright: ignore
        await send(http, gateway.url + MESSAGES, {**asked, "messages": more})
    assert back.body == (b"".join(EVENTS) if stream else body)
    assert json.loads(engine.bodies[0]) == asked
    assert "x-api-key" in {name.lower() for name, _ in engine.headers[0]}
    first, second = sorted(all_calls(tmp_path), key=lambda call: call.start)
    assert (first.endpoint, first.ok, first.stream) == ("messages", True, stream)
    assert (first.prompt_tokens, first.cached_tokens, first.output_tokens) == (21, 16, 9)
    assert first.max_tokens == 64
    assert (second.run, second.layer) == (first.run, "echo")


async def test_streamed_and_whole_messages_have_one_digest(
    http: aiohttp.ClientSession, tmp_path: Path
):
    for place, script in (("a", streams(*EVENTS)), ("b", says(json.dumps(MESSAGE).encode()))):
        async with gateway_to(script, tmp_path / place) as (_, gateway):
            await send(http, gateway.url + MESSAGES, ASKED)
    assert the_call(tmp_path / "a").output_digest == the_call(tmp_path / "b").output_digest


async def test_a_message_that_breaks_off_ends_with_an_error_that_its_clients_know(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with gateway_to(streams(*EVENTS[:3], then=cut), tmp_path) as (_, gateway):
        back = await send(http, gateway.url + MESSAGES, {**ASKED, "stream": True})
    last = back.body.removeprefix(b"".join(EVENTS[:3]))
    assert last.startswith(b'event: error\ndata: {"type":"error","error":{"message":')
    assert the_call(tmp_path).status == 502


async def test_a_message_without_its_end_is_no_success(http: aiohttp.ClientSession, tmp_path: Path):
    async with gateway_to(streams(*EVENTS[:-1]), tmp_path) as (_, gateway):
        await send(http, gateway.url + MESSAGES, {**ASKED, "stream": True})
    assert not the_call(tmp_path).ok


@pytest.mark.parametrize("path", ["/tokenize", "/detokenize", "/v1/messages/count_tokens"])
async def test_requests_about_tokens_are_passed_on_and_are_no_calls(
    http: aiohttp.ClientSession, tmp_path: Path, path: str
):
    async with gateway_to(says(b'{"count":3}'), tmp_path) as (engine, gateway):
        back = await send(http, gateway.url + path, {"model": "m", "prompt": "a"})
        lost = await send(http, gateway.url + path, {"model": "x", "prompt": "a"})
        metrics = (await ask_admin(http, gateway, "/metrics")).body
    assert (back.status, back.body, engine.paths[0]) == (200, b'{"count":3}', path)
    assert lost.status == 404
    assert b"calls_total{llm" not in metrics
    assert not all_calls(tmp_path)


@pytest.mark.parametrize(("path", "endpoint"), [("/pooling", "pooling"), ("/classify", "classify")])
async def test_pooling_and_classification_are_calls(
    http: aiohttp.ClientSession, tmp_path: Path, path: str, endpoint: str
):
    answer = b'{"data":[{"index":0,"data":[0.5]}],"usage":{"prompt_tokens":3}}'
    async with gateway_to(says(answer), tmp_path) as (_, gateway):
        back = await send(http, gateway.url + path, {"model": "m", "input": ["a", "b"]})
    call = the_call(tmp_path)
    assert back.body == answer
    assert (call.endpoint, call.items, call.prompt_tokens) == (endpoint, 2, 3)


def storing(name: str) -> Callable[[web.Request], object]:
    """A replica that stores its responses, and has only those."""
    made: set[str] = set()

    async def script(request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/models":
            return web.json_response({"data": []})
        if request.path != "/v1/responses":
            one = request.path.split("/")[3]
            status = 200 if one in made else 404
            return web.json_response({"id": one, "by": name, "how": request.method}, status=status)
        previous = (await request.json()).get("previous_response_id")
        if previous is not None and previous not in made:
            return web.json_response({"error": {"message": "no such response"}}, status=404)
        one = f"resp_{name}_{len(made)}"
        made.add(one)
        return web.json_response({"id": one, "object": "response", "output": [], "by": name})

    return script


@asynccontextmanager
async def two_stores(**fields: object) -> AsyncGenerator[tuple[list[Peer], Gateway]]:
    async with peer(storing("a")) as a, peer(storing("b")) as b:  # pyright: ignore
        routes = (
            Route(llm="m", replica="m-a", url=a.url),
            Route(llm="m", replica="m-b", url=b.url),
        )
        config = GatewayConfig(routes=routes, **fields)  # pyright: ignore
        async with running(config) as gateway:
            yield [a, b], gateway


async def test_a_conversation_goes_on_where_its_response_is(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with two_stores(traces=str(tmp_path)) as (_, gateway):
        url = gateway.url + "/v1/responses"
        for number in range(6):
            run = {"x-scepsy-run": f"r{number}"}
            last = (await send(http, url, {"model": "m", "input": "a"}, **run)).json()
            for turn in range(3):
                asked = {"model": "m", "input": "b", "previous_response_id": last["id"]}
                headers = run if turn % 2 else {}
                back = await send(http, url, asked, **headers)
                assert (back.status, back.json()["by"]) == (200, last["by"])
                last = back.json()
    runs = {call.run for call in all_calls(tmp_path)}
    assert runs == {f"r{number}" for number in range(6)}


async def test_a_response_is_fetched_and_cancelled_where_it_is(http: aiohttp.ClientSession):
    async with two_stores() as (engines, gateway):
        url = gateway.url + "/v1/responses"
        made = [(await send(http, url, {"model": "m", "input": "a"})).json() for _ in range(4)]
        assert {one["by"] for one in made} == {"a", "b"}
        before = sum(engine.calls for engine in engines)
        for one in made:
            got = (await send(http, f"{url}/{one['id']}", b"", "GET")).json()
            assert got == {"id": one["id"], "by": one["by"], "how": "GET"}
            got = (await send(http, f"{url}/{one['id']}/cancel", b"")).json()
            assert got == {"id": one["id"], "by": one["by"], "how": "POST"}
        assert sum(engine.calls for engine in engines) == before + 8
        unknown = await send(http, f"{url}/nope", b"", "GET")
        for odd in ("..", "%2e%2e", "a%2fb", "%00", "a/b"):
            assert (await send(http, f"{url}/{odd}", b"", "GET")).status == 404
        assert (unknown.status, unknown.json()["error"]["param"]) == (404, "response_id")


async def test_a_response_of_another_gateway_is_found(http: aiohttp.ClientSession):
    async with two_stores() as (engines, gateway):
        routes = tuple(
            Route(llm="m", replica=f"m-{name}", url=engine.url)
            for name, engine in zip("ab", engines, strict=True)
        )
        url = gateway.url + "/v1/responses"
        made = [(await send(http, url, {"model": "m", "input": "a"})).json() for _ in range(2)]
        async with running(GatewayConfig(routes=routes)) as other:
            for one in made:
                where = f"{other.url}/v1/responses"
                got = await send(http, f"{where}/{one['id']}", b"", "GET")
                assert got.json()["by"] == one["by"]
                asked = {"model": "m", "input": "b", "previous_response_id": one["id"]}
                assert (await send(http, where, asked)).json()["by"] == one["by"]
