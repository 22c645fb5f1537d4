"""A field that the gateway adds is never why a call fails."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest
from gateway_peers import (
    CHAT,
    DONE,
    RawPeer,
    all_calls,
    chunk,
    completion,
    http_answer,
    raw_peer,
    send,
    sse,
)

from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import running

STREAM = {"model": "m", "stream": True, "messages": []}
EVENTS = chunk("hello") + DONE
REFUSALS = {
    "422 that names nothing": http_answer(b'{"detail": "Unprocessable"}', 422),
    "400 in a shape of its own": http_answer(b"bad request", 400, "text/plain"),
    "500 that names the field": http_answer(b"unexpected keyword 'stream_options'", 500),
    "500 that names nothing": http_answer(b"Internal Server Error", 500, "text/plain"),
    "501": http_answer(b"{}", 501),
    "an event in a 200": sse(b'data: {"error": {"message": "unknown field stream_options"}}\n\n'),
    "an error in a 200": http_answer(b'{"object": "error", "message": "extra fields"}'),
    "a lost connection": None,
}


def config(peer: RawPeer, traces: Path, **route: object) -> GatewayConfig:
    first = Route(llm="m", replica="m-0", url=peer.url, **route)  # pyright: ignore[reportArgumentType]
    return GatewayConfig(routes=(first,), traces=str(traces))


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_refused_stream_options_is_left_out(
    http: aiohttp.ClientSession, tmp_path: Path, refusal: bytes | None
):
    def script(body: bytes) -> bytes | None:
        return refusal if b"stream_options" in body else sse(EVENTS)

    async with raw_peer(script) as peer, running(config(peer, tmp_path)) as gateway:
        for _ in range(3):
            back = await send(http, gateway.url + CHAT, STREAM)
            assert (back.status, back.body) == (200, EVENTS)
    assert all(call.ok for call in all_calls(tmp_path))
    if refusal is not None:  # a lost connection is no refusal that could be remembered
        assert peer.calls == 4


async def test_a_refused_priority_is_left_out(http: aiohttp.ClientSession, tmp_path: Path):
    def script(body: bytes) -> bytes:
        refused = b'"priority"' in body
        return http_answer(b"{}", 400) if refused else http_answer(completion())

    async with raw_peer(script) as peer, running(config(peer, tmp_path, ranked=True)) as gateway:
        for _ in range(2):
            assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200
    assert peer.calls == 3


async def test_only_the_field_that_is_named_is_left_out(
    http: aiohttp.ClientSession, tmp_path: Path
):
    def script(body: bytes) -> bytes:
        refused = b'"priority"' in body
        return http_answer(b'{"error": "no priority here"}', 400) if refused else sse(EVENTS)

    async with raw_peer(script) as peer, running(config(peer, tmp_path, ranked=True)) as gateway:
        for _ in range(2):
            assert (await send(http, gateway.url + CHAT, STREAM)).status == 200
    assert b"stream_options" in peer.bodies[-1]


async def test_the_callers_own_error_is_the_engines_answer_to_its_own_body(
    http: aiohttp.ClientSession, tmp_path: Path
):
    def script(body: bytes) -> bytes:
        said = "yours" if b"stream_options" in body else "the caller's"
        return http_answer(json.dumps({"error": {"message": said}}).encode(), 400)

    async with raw_peer(script) as peer, running(config(peer, tmp_path)) as gateway:
        back = await send(http, gateway.url + CHAT, STREAM)
        again = await send(http, gateway.url + CHAT, STREAM)
    assert (back.status, back.json()["error"]["message"]) == (400, "the caller's")
    assert again.body == back.body
    assert peer.calls == 4  # nothing was learned from calls that fail anyway
