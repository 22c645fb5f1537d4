"""What a call goes through: byte for byte to the engine and back, and into the trace."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from gateway_peers import (
    CHAT,
    DONE,
    all_calls,
    ask_admin,
    chunk,
    completion,
    gateway_to,
    hang,
    peer,
    says,
    send,
    streams,
    the_call,
    until,
    usage_chunk,
)

from scepsy.gateway.config import GatewayConfig
from scepsy.gateway.server import running
from scepsy.store import read_traces

JSON = {"Content-Type": "application/json"}


async def test_bytes_go_through_unchanged_both_ways(http: aiohttp.ClientSession, tmp_path: Path):
    body = b'{ "model":"m",\t"x_new": 1.10, "messages": [ {"role":"user","content":"\\u00e9"} ]}'
    answer = b'{"usage":{"prompt_tokens":3,"completion_tokens":1}, "y_new": 1e400, "choices":[]}\n'
    script = says(answer, headers={"X-Engine": "e", "Set-Cookie": "a=b"})
    sent = {"X-Request-Id": "q", "X-Scepsy-Run": "r", "Authorization": "Bearer k"}
    async with gateway_to(script, tmp_path) as (engine, gateway):
        back = await send(http, gateway.url + CHAT + "?a=%2F", body, **sent)
        await send(http, gateway.url + CHAT, body)
    assert (back.status, back.body) == (200, answer)
    assert back.headers["X-Engine"] == "e"
    assert back.headers.getall("Set-Cookie") == ["a=b"]
    assert back.headers.getall("Content-Type") == ["application/json"]
    assert engine.bodies == [body, body]
    assert engine.paths[0] == CHAT + "?a=%2F"
    names = {name.lower(): value for name, value in engine.headers[0]}
    assert (names["x-request-id"], names["authorization"]) == ("q", "Bearer k")
    assert "x-scepsy-run" not in names


async def test_cookies_are_not_shared_between_callers():
    script = says(completion(), headers={"Set-Cookie": "a=b"})
    async with gateway_to(script) as (engine, gateway):
        for _ in range(2):
            async with aiohttp.ClientSession() as fresh:
                await send(fresh, gateway.url + CHAT, {"model": "m"})
    assert "cookie" not in engine.header_names()


async def test_the_record_has_the_fields_of_the_call(http: aiohttp.ClientSession, tmp_path: Path):
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 600}], "max_tokens": 9}
    answer = completion(prompt_tokens_details={"cached_tokens": 5})
    async with gateway_to(says(answer), tmp_path) as (engine, gateway):
        await send(http, f"{gateway.url}/w/rag/run%207{CHAT}", body)
    assert engine.paths == [CHAT]
    call = the_call(tmp_path)
    assert (call.workflow, call.run, call.layer, call.confidence) == ("rag", "run 7", "url", 1.0)
    assert (call.llm, call.endpoint, call.status, call.error) == ("m", "chat", 200, None)
    assert (call.prompt_tokens, call.cached_tokens, call.output_tokens) == (7, 5, 2)
    assert (call.replica, call.attempts, call.max_tokens, call.items) == ("m-0", 1, 9, 1)
    assert call.prompt_chars == 600 + len("user: \n")
    assert len(call.prompt_blocks) == 3
    assert call.dispatched is not None
    assert call.start <= call.dispatched <= call.end
    assert call.first_token is None
    assert call.output_digest != ""
    assert call.request is call.response is None


async def test_content_is_kept_when_asked_for(http: aiohttp.ClientSession, tmp_path: Path):
    async with gateway_to(says(completion()), tmp_path, record_content=True) as (_, gateway):
        await send(http, gateway.url + CHAT, b'{"model": "m"}')
    call = the_call(tmp_path)
    assert (call.request, call.response) == ('{"model": "m"}', completion().decode())


async def test_usage_is_asked_for_and_hidden_again(http: aiohttp.ClientSession, tmp_path: Path):
    body = b'{"model":"m","stream":true,"stream_options":{"x":1.50},"seed":1.10,"messages":[]}'
    script = streams(chunk("he"), chunk("llo"), usage_chunk(), DONE)
    async with gateway_to(script, tmp_path) as (engine, gateway):
        back = await send(http, gateway.url + CHAT, body)
    assert back.body == chunk("he") + chunk("llo") + DONE
    asked = json.loads(engine.bodies[0])
    assert asked["stream_options"] == {"x": 1.5, "include_usage": True}
    assert b'"seed":1.10' in engine.bodies[0]
    call = the_call(tmp_path)
    assert (call.prompt_tokens, call.cached_tokens, call.output_tokens) == (7, 4, 2)
    assert call.stream
    assert call.first_token is not None
    assert call.start < call.first_token <= call.end


async def test_usage_that_the_caller_asked_for_stays(http: aiohttp.ClientSession, tmp_path: Path):
    body = b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}'
    events = (chunk("he"), usage_chunk(), DONE)
    async with gateway_to(streams(*events), tmp_path) as (engine, gateway):
        back = await send(http, gateway.url + CHAT, body)
    assert back.body == b"".join(events)
    assert engine.bodies == [body]


@pytest.mark.parametrize("size", [1, 5, 20, 150])
async def test_events_survive_any_chunking(http: aiohttp.ClientSession, tmp_path: Path, size: int):
    other = b"event: x\ndata: 1\n\n"
    whole = b": hi\r\n\r\n" + chunk("he") + usage_chunk() + other + DONE + b"tail"
    pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
    async with gateway_to(streams(*pieces), tmp_path) as (_, gateway):
        back = await send(http, gateway.url + CHAT, {"model": "m", "stream": True})
    assert back.body == whole.replace(usage_chunk(), b"")
    assert the_call(tmp_path).output_tokens == 2


async def test_events_are_passed_on_as_they_come(http: aiohttp.ClientSession):
    go_on = asyncio.Event()

    async def wait(_: object) -> None:
        await go_on.wait()

    body = b'{"model":"m","stream":true}'
    async with (
        gateway_to(streams(chunk("first"), then=wait)) as (engine, gateway),
        http.post(gateway.url + CHAT, data=body, headers=JSON) as back,
    ):
        assert await back.content.readany() == chunk("first")
        go_on.set()
        assert await back.content.read() == b""
    assert engine.bodies == [body]  # nobody records, so usage is not asked for


@pytest.mark.parametrize("begun", [False, True])
async def test_a_caller_that_goes_away_cancels_the_call(
    http: aiohttp.ClientSession, tmp_path: Path, begun: bool
):
    script = streams(chunk("he"), then=hang) if begun else hang
    async with gateway_to(script, tmp_path) as (engine, gateway):
        async with aiohttp.ClientSession() as leaving:
            body = {"model": "m", "stream": True}
            request = asyncio.create_task(leaving.post(gateway.url + CHAT, json=body))
            await until(lambda: engine.calls)
            if begun:
                async with await request as response:
                    await response.content.readany()
            request.cancel()
        await asyncio.wait_for(engine.cancelled.wait(), 5)
        replica = (await ask_admin(http, gateway, "/scepsy/status")).json()["replicas"][0]
        assert (replica["in_flight"], replica["failed"], replica["healthy"]) == (0, 0, True)
    call = the_call(tmp_path)
    assert (call.status, call.ok) == (499, False)


async def test_a_large_body_goes_through(http: aiohttp.ClientSession):
    body = json.dumps({"model": "m", "input": "x" * 3_000_000}).encode()
    answer = b'{"data":"' + b"y" * 3_000_000 + b'"}'

    async def pieces():
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    async with (
        gateway_to(says(answer)) as (engine, gateway),
        http.post(gateway.url + "/v1/embeddings", data=pieces(), headers=JSON) as back,
    ):
        assert await back.read() == answer
    assert engine.bodies == [body]


@pytest.mark.parametrize(
    ("path", "body", "answer", "expected"),
    [
        (
            "/v1/embeddings",
            {"model": "m", "input": ["a", "b"]},
            {"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}},
            ("embeddings", 2, 4, None),
        ),
        (
            "/rerank",
            {"model": "m", "query": "q", "documents": ["a", "b", "c"]},
            {"results": [{"index": 0, "relevance_score": 0.5}], "usage": {"total_tokens": 12}},
            ("rerank", 3, 12, None),
        ),
        (
            "/v1/score",
            {"model": "m", "text_1": "q", "text_2": ["a", "b"]},
            {"data": [{"score": 0.5}], "usage": {"prompt_tokens": 8, "total_tokens": 8}},
            ("score", 2, 8, None),
        ),
        (
            "/v1/responses",
            {"model": "m", "input": "hi", "max_output_tokens": 5},
            {
                "id": "resp_1",
                "object": "response",
                "output": [{"type": "message", "content": [{"text": "hello"}]}],
                "usage": {
                    "input_tokens": 6,
                    "output_tokens": 3,
                    "input_tokens_details": {"cached_tokens": 1},
                },
            },
            ("responses", 1, 6, 3),
        ),
        (
            "/v1/completions",
            {"model": "m", "prompt": [1, 2, 3]},
            {"choices": [{"text": "x"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
            ("completions", 1, 3, 1),
        ),
    ],
)
async def test_every_endpoint_is_recorded(
    http: aiohttp.ClientSession,
    tmp_path: Path,
    path: str,
    body: dict[str, object],
    answer: dict[str, object],
    expected: tuple[str, int, int, int | None],
):
    async with gateway_to(says(json.dumps(answer).encode()), tmp_path) as (engine, gateway):
        for prefix in ("", "/w/rag", "/w/rag/r1"):
            back = await send(http, gateway.url + prefix + path, body)
            assert back.json() == answer
    assert engine.paths == [path] * 3
    calls = all_calls(tmp_path)
    assert {trace.workflow for trace in read_traces(tmp_path).traces} == {"default", "rag"}
    assert len(calls) == 3
    for call in calls:
        assert (call.endpoint, call.items, call.prompt_tokens, call.output_tokens) == expected
        assert call.output_digest


async def test_upstream_takes_any_llm_with_the_callers_key(
    http: aiohttp.ClientSession, tmp_path: Path
):
    key = {"Authorization": "Bearer sk-1"}
    async with peer(says(completion())) as engine:
        config = GatewayConfig(upstream=engine.url + "/v1/", traces=str(tmp_path))
        async with running(config) as gateway:
            back = await send(http, gateway.url + CHAT, {"model": "any"}, **key)
            models = await send(http, f"{gateway.url}/w/a/b/v1/models", b"", "GET", **key)
    assert (back.status, models.body) == (200, completion())
    assert engine.paths == [CHAT, "/v1/models"]
    assert all(("Authorization", "Bearer sk-1") in headers for headers in engine.headers)
    assert the_call(tmp_path).replica == "upstream"
