"""Random bodies, headers and answers: no 5xx of the gateway's own, no hang, no leak.

`SCEPSY_FUZZ` is the number of inputs of the test against a live gateway, 400 by default; hypothesis
makes 100 of each pure test, or that number as well.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import aiohttp
import pytest
from aiohttp import web
from gateway_peers import ask_admin, chunk, completion, gateway_to, usage_chunk
from hypothesis import given, settings
from hypothesis import strategies as st

from scepsy.gateway.identity.labels import identify, locate
from scepsy.gateway.names import is_name
from scepsy.gateway.wire.answers import AnswerRecord
from scepsy.gateway.wire.errors import ErrorAnswer
from scepsy.gateway.wire.failures import begins_with_failure, error_message
from scepsy.gateway.wire.prompts import prompt_blocks, prompt_text
from scepsy.gateway.wire.requests import ENDPOINTS, HELPERS, echoed_ids, read_request
from scepsy.gateway.wire.sse import EventSplitter, is_usage_only, read_event

INPUTS = int(os.environ.get("SCEPSY_FUZZ", "400"))
PURE = settings(max_examples=max(100, int(os.environ.get("SCEPSY_FUZZ", "100"))), deadline=None)
SEED = 14
VALUES = [*range(0x20, 0x7F), *range(0x80, 0x100)]
PATHS = [
    *ENDPOINTS,
    *HELPERS,
    "/v1/responses/r/cancel",
    "/v1/models",
    "/health",
    "/w/a/b/v1/models",
]
BODIES = [
    b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"metadata":{"a":"b"}}',
    b'{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"tools":[]}',
    b'{"model":"m","input":[{"role":"user","content":"a"}],"previous_response_id":"resp_1"}',
    b'{"model":"m","prompt":[1,2,3],"max_tokens":5,"stream_options":{"include_usage":false}}',
    b'{"model":"m","query":"q","documents":["a",{"text":"b"}]}',
]
PIECES = [b'"', b"{", b"}", b"[", b"]", b":", b",", b"null", b"-1", b"1e999", b"\\ud800", b"\xff",
          b"\x00", b"NaN", b"\\u0000", b"\n", b'"model"', b"[" * 2000, b'{"a":' * 1200]  # fmt: skip
EVENTS = [
    chunk("a"), usage_chunk(), b"data: [DONE]\n\n", b": ping\r\n\r\n",
    b"event: error\rdata: {}\r\r",
    b'data: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n',
    b'data: {"type":"response.completed","response":{"id":"r"}}\n\n', b"data: \xff\xfe\n\n", b"\n",
]  # fmt: skip


def mutated(rng: random.Random, content: bytes) -> bytes:
    """The content with up to four places cut out, doubled or replaced."""
    for _ in range(rng.randrange(5)):
        at, size = rng.randrange(len(content) + 1), rng.randrange(12)
        new = rng.choice([b"", rng.choice(PIECES), rng.randbytes(rng.randrange(6))])
        content = content[:at] + new + content[at + rng.choice([0, size]) :]
    return content


@PURE
@given(st.integers(0, 1 << 32), st.sampled_from(sorted(ENDPOINTS)))
def test_any_body_is_read_or_refused(seed: int, path: str):
    rng = random.Random(seed)
    asked = read_request(ENDPOINTS[path], mutated(rng, rng.choice(BODIES)))
    if isinstance(asked, ErrorAnswer):
        assert asked.status == 400
        json.loads(asked.body())
        return
    assert is_name(asked.llm)
    prompt_blocks(prompt_text(asked.endpoint, asked.fields))
    assert asked.items >= 0
    list(echoed_ids(asked.fields))
    said = identify({}, locate(path), asked.fields)
    assert said.run is None or is_name(said.run)


@PURE
@given(st.integers(0, 1 << 32), st.lists(st.integers(1, 40), max_size=8))
def test_any_stream_keeps_its_bytes_and_is_read(seed: int, cuts: list[int]):
    rng = random.Random(seed)
    content = b"".join(mutated(rng, rng.choice(EVENTS)) for _ in range(rng.randrange(6)))
    splitter, answer, passed = EventSplitter(), AnswerRecord(), b""
    for size in [*cuts, len(content)]:
        part, content = content[:size], content[size:]
        for event in splitter.feed(part):
            data, named = read_event(event)
            answer.read_event(data, named_error=named)
            is_usage_only(event)
            passed += event
    again = random.Random(seed)
    whole = b"".join(mutated(again, again.choice(EVENTS)) for _ in range(again.randrange(6)))
    assert passed + splitter.rest == whole
    counts = (answer.prompt_tokens, answer.cached_tokens, answer.output_tokens)
    assert all(count is None or 0 <= count <= 100_000_000 for count in counts)


@PURE
@given(st.integers(0, 1 << 32), st.integers(400, 599))
def test_any_answer_is_read(seed: int, status: int):
    body = mutated(random.Random(seed), completion())
    AnswerRecord().read_whole(body)
    error_message(status, body)
    begins_with_failure(body, streams=False)


async def answers(request: web.Request) -> web.StreamResponse:
    """A valid answer of status 200 whose content is random, as a stream or whole."""
    rng = random.Random(crc32(await request.read()))
    if rng.random() < 0.5:
        return web.Response(body=mutated(rng, completion()), content_type="application/json")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    with suppress(ConnectionError):  # the caller has left
        for _ in range(rng.randrange(1, 5)):
            await response.write(mutated(rng, rng.choice(EVENTS)) or b"\n")
        await response.write_eof()
    return response


def raw_request(rng: random.Random) -> tuple[bytes, bool]:
    """Mostly valid HTTP/1.1: a random body, and random bytes in headers that the gateway reads. And
    whether the head is as it was made, so that the server waits for no more bytes.
    """
    body = mutated(rng, rng.choice(BODIES))
    method = rng.choice(["POST", "POST", "POST", "GET", "OPTIONS"])
    names = ["x-scepsy-run", "x-session-id", "traceparent", "baggage", "content-encoding", "accept"]
    lines = [f"{method} {rng.choice(PATHS)} HTTP/1.1".encode(), b"Host: h", b"Connection: close"]
    lines.append(b"Content-Type: application/json")
    for name in rng.sample(names, rng.randrange(4)):
        value = bytes(rng.choices(VALUES, k=rng.randrange(1, 60)))
        if rng.random() < 0.05:
            value += rng.randbytes(2)  # control characters, which HTTP refuses
        lines.append(name.encode() + b": " + (b"gzip" if rng.random() < 0.1 else value))
    lines.append(b"Content-Length: %d" % len(body))
    head = b"\r\n".join(lines)
    sent = mutated(rng, head) if rng.random() < 0.2 else head
    return sent + b"\r\n\r\n" + body, sent == head


async def test_no_input_brings_a_live_gateway_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    rng = random.Random(SEED)
    caplog.set_level(logging.ERROR, logger="scepsy")
    statuses: dict[int, int] = {}
    async with gateway_to(answers, tmp_path) as (_, gateway):
        host, port = gateway.url.removeprefix("http://").split(":")
        before = len(asyncio.all_tasks())

        async def ask(raw: bytes, whole: bool) -> int | None:
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(raw)
                if not whole:
                    writer.write_eof()
                if rng.random() < 0.05:  # a caller that leaves
                    return None
                head = await asyncio.wait_for(reader.readline(), 20)
                await asyncio.wait_for(reader.read(), 20)
                return int(head.split()[1]) if head else None
            except ConnectionError:
                return None
            finally:
                writer.close()

        for _ in range(INPUTS):
            raw, whole = raw_request(rng)
            status = await ask(raw, whole)
            if status is not None:
                statuses[status] = statuses.get(status, 0) + 1
                assert status < 500, raw
        async with asyncio.timeout(20), aiohttp.ClientSession() as http:
            while (await ask_admin(http, gateway, "/scepsy/status")).json()["in_flight"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        async with asyncio.timeout(20):
            while len(asyncio.all_tasks()) > before + 4:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert statuses.get(200, 0) > INPUTS / 20
    assert statuses.get(400, 0) > INPUTS / 20
    assert not caplog.records
