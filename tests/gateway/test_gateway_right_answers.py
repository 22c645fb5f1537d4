"""What is wrong with a request or an answer is told as it is, to the caller and in the record."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import zlib
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from gateway_peers import (
    CHAT,
    DONE,
    all_calls,
    chunk,
    completion,
    gateway_to,
    peer,
    says,
    send,
    streams,
    the_call,
)
from hypothesis import given
from hypothesis import strategies as st

from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import running
from scepsy.gateway.wire.encodings import CannotDecode, UnknownEncoding, decoded
from scepsy.routing.rate_limit import RateLimit

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
ZIPPED = gzip.compress(BODY)
CREATED = b'data: {"type":"response.created"}\n\n'
FINISHED = chunk("b").replace(b'"finish_reason": null', b'"finish_reason": "stop"')


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (ZIPPED, "gzip", 200),
        (ZIPPED[:-6], "gzip", 400),
        (ZIPPED[:20], "gzip", 400),
        (ZIPPED[:-8] + b"\0" * 8, "gzip", 400),
        (b"hello", "gzip", 400),
        (zlib.compress(BODY), "deflate", 200),
        (zlib.compress(BODY)[:-1], "deflate", 400),
        (BODY, "compress", 415),
    ],
)
async def test_a_broken_encoding_is_a_bad_request(
    http: aiohttp.ClientSession, body: bytes, encoding: str, status: int
):
    async with gateway_to(says(completion())) as (_, gateway):
        back = await send(http, gateway.url + CHAT, body, **{"Content-Encoding": encoding})
    assert back.status == status
    assert status == 200 or back.json()["error"]["type"] == "invalid_request_error"


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "gzip, deflate"]), st.data())
def test_a_cut_body_is_never_taken_for_a_whole_one(
    content: bytes, encoding: str, data: st.DataObject
):
    packed = content
    for name in encoding.split(", "):
        packed = gzip.compress(packed) if name == "gzip" else zlib.compress(packed)
    assert decoded(packed, encoding) == content
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with pytest.raises(CannotDecode) as error:
        decoded(cut, encoding)
    assert not isinstance(error.value, UnknownEncoding)


@pytest.mark.parametrize(
    ("events", "ok"),
    [
        ([chunk("a"), DONE], True),
        ([chunk("a"), FINISHED], True),  # some servers send no [DONE]
        ([chunk("a")], False),
        ([chunk("a"), chunk("b")[:20]], False),
        (
            [b'data: {"type":"response.created"}\n\n', b'data: {"type":"response.completed"}\n\n'],
            True,
        ),
        ([b'data: {"type":"response.created"}\n\n'], False),
        ([b"data: hello\n\n"], True),  # of no kind whose end is known
    ],
)
async def test_a_stream_without_its_end_is_no_success(
    http: aiohttp.ClientSession, tmp_path: Path, events: list[bytes], ok: bool
):
    async with gateway_to(streams(*events), tmp_path) as (_, gateway):
        back = await send(http, gateway.url + CHAT, {"model": "m", "stream": True})
    call = the_call(tmp_path)
    assert back.body == b"".join(events)
    assert (call.ok, call.error) == (ok, None if ok else "the stream stopped before its end")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, (7, None, 2)),
        ({"completion_tokens": -5}, (7, None, None)),
        ({"completion_tokens": 10**11}, (7, None, None)),
        ({"prompt_tokens": 10**12, "total_tokens": None}, (None, None, 2)),
        ({"prompt_tokens_details": {"cached_tokens": 50}}, (7, None, 2)),
        ({"prompt_tokens_details": {"cached_tokens": 7}}, (7, 7, 2)),
    ],
)
async def test_counts_that_cannot_be_are_unknown(
    http: aiohttp.ClientSession,
    tmp_path: Path,
    usage: dict[str, object],
    expected: tuple[int | None, ...],
):
    async with gateway_to(says(completion(**usage)), tmp_path) as (_, gateway):
        await send(http, gateway.url + CHAT, {"model": "m"})
    call = the_call(tmp_path)
    assert (call.prompt_tokens, call.cached_tokens, call.output_tokens) == expected


async def test_a_failed_stream_is_passed_on_whole(http: aiohttp.ClientSession, tmp_path: Path):
    events = [b'data: {"error":{"message":"busy %d","code":1}}\n\n' % n for n in range(20)]

    async def busy(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=503, headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for event in events:
            await answer.write(event)
        await answer.write_eof()
        return answer

    async with gateway_to(busy, tmp_path) as (_, gateway):
        back = await send(http, gateway.url + CHAT, {"model": "m", "stream": True})
    assert (back.status, back.body) == (503, b"".join(events))
    assert back.headers["Content-Type"] == "text/event-stream"
    assert the_call(tmp_path).error == "busy 0"


async def test_a_malformed_request_writes_nothing_to_the_log(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    async with gateway_to(says(completion())) as (_, gateway):
        host, port = gateway.url.removeprefix("http://").split(":")
        for raw in (
            b"GARBAGE\r\n\r\n",
            b"\x16\x03\x01\x00\r\n\r\n",
            b"GET / HTTP/1.1\r\nBad Header\r\n\r\n",
            b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: application/json\r\n\r\n"
            b"5\r\n{'a':\r\nzz\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(raw)
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b'"type":"invalid_request_error"' in answer
    assert not caplog.records


async def test_the_rate_limit_of_an_endpoint_is_kept(http: aiohttp.ClientSession, tmp_path: Path):
    rate, calls = 20.0, 8
    async with peer(says(completion())) as engine:
        route = Route(
            llm="m", replica="m-endpoint", url=engine.url, engine="endpoint", rate_limit=rate
        )
        async with running(GatewayConfig(routes=(route,), traces=str(tmp_path))) as gateway:
            url = gateway.url + CHAT
            backs = await asyncio.gather(*(send(http, url, {"model": "m"}) for _ in range(calls)))
    assert {back.status for back in backs} == {200}
    sent = sorted(call.dispatched or 0.0 for call in all_calls(tmp_path))
    assert sent[-1] - sent[0] >= (calls - 1) / rate * 0.99


async def test_a_call_that_would_wait_too_long_is_told_when_to_return(
    http: aiohttp.ClientSession,
):
    async with peer(says(completion())) as engine:
        route = Route(
            llm="m", replica="m-endpoint", url=engine.url, engine="endpoint", rate_limit=0.01
        )
        async with running(GatewayConfig(routes=(route,))) as gateway:
            first = await send(http, gateway.url + CHAT, {"model": "m"})
            second = await send(http, gateway.url + CHAT, {"model": "m"})
    assert (first.status, second.status) == (200, 429)
    assert 90 <= int(second.headers["Retry-After"]) <= 100
    assert second.json()["error"]["code"] == "rate_limit_exceeded"


@given(st.floats(0.1, 100), st.lists(st.floats(0, 5), min_size=1, max_size=60))
def test_turns_are_never_closer_than_the_rate(rate: float, gaps: list[float]):
    limit, now, turns = RateLimit(rate), 0.0, list[float]()
    for gap in gaps:
        now += gap
        free = limit.wait(now)
        turns.append(now + limit.take(now))
        assert turns[-1] == now + free
    for one, other in pairwise(turns):
        assert other - one >= 1 / rate - 1e-6
    if all(gap * rate > 1.001 for gap in gaps):
        assert turns[-1] == now  # slower callers never wait
