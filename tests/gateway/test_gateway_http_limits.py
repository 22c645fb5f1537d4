"""Large headers and compressed bodies pass; what cannot be parsed is refused in OpenAI's shape."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from gateway_peers import (
    CHAT,
    DONE,
    ask_admin,
    chunk,
    completion,
    gateway_to,
    http_answer,
    raw_peer,
    says,
    send,
    the_call,
    usage_chunk,
)

from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import running
from scepsy.gateway.wire.encodings import CannotDecode, Decoder, accepts, decoded

ASKED = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}).encode()
LARGE = "x" * 9_000


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-Gzip", gzip.compress),
    "two members": ("gzip", lambda body: gzip.compress(body[:7]) + gzip.compress(body[7:])),
    "deflate": ("deflate", zlib.compress),
    "deflate without header": ("deflate", raw_deflate),
    "gzip in deflate": ("gzip, deflate", lambda body: zlib.compress(gzip.compress(body))),
    "identity": ("identity", bytes),
}


def config(url: str, traces: Path | None = None) -> GatewayConfig:
    routes = (Route(llm="m", replica="m-0", url=url),)
    return GatewayConfig(routes=routes, traces=None if traces is None else str(traces))


async def raw_exchange(url: str, request: bytes) -> tuple[bytes, bytes]:
    """Status line and body of what comes back."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/json" in head
    return head.split(b"\r\n")[0], body


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "baggage", "traceparent", "X-Any"])
async def test_a_large_request_header_passes(http: aiohttp.ClientSession, name: str):
    async with (
        raw_peer(lambda _: http_answer(completion())) as peer,
        running(config(peer.url)) as gateway,
    ):
        back = await send(http, gateway.url + CHAT, ASKED, **{name: "k=" + LARGE})
    assert back.status == 200
    assert LARGE.encode() in peer.heads[0]


async def test_a_large_response_header_passes(http: aiohttp.ClientSession):
    answer = http_answer(completion(), headers=f"X-Large: {LARGE}\r\n".encode())
    async with (
        raw_peer(lambda _: answer) as peer,
        running(config(peer.url)) as gateway,
        aiohttp.ClientSession(max_field_size=1 << 16) as wide,
    ):
        back = await send(wide, gateway.url + CHAT, ASKED)
        replica = (await ask_admin(http, gateway, "/scepsy/status")).json()["replicas"]
    assert (back.status, back.headers["X-Large"]) == (200, LARGE)
    assert replica[0]["healthy"]


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"POST /v1/x HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431, "header_too"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 431, "header_too"),
        (b"POST /v1/x HTTP/1.1\r\nHost: h\r\nbroken\r\n\r\n", 400, "invalid_request"),
        (b"POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", 400, "invalid_request"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400, "invalid_request"),
    ],
)
async def test_unparsable_http_is_an_error_in_openai_format(
    request_bytes: bytes, status: int, code: str
):
    async with gateway_to(says(completion())) as (engine, gateway):
        first, body = await raw_exchange(gateway.url, request_bytes)
    assert first.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["error"]["code"].startswith(code)
    assert engine.calls == 0


@pytest.mark.parametrize(
    ("expect", "first", "last"), [("100-continue", 100, 200), ("nonsense", 417, 417)]
)
async def test_a_caller_that_waits_for_100_continue_is_answered(expect: str, first: int, last: int):
    async with gateway_to(says(completion())) as (_, gateway):
        parts = urlsplit(gateway.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = f"Host: h\r\nExpect: {expect}\r\nConnection: close\r\nContent-Length: {len(ASKED)}"
        head += "\r\nContent-Type: application/json"
        writer.write(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n\r\n".encode())
        begin = await asyncio.wait_for(reader.readline(), 10)
        assert begin.startswith(f"HTTP/1.1 {first} ".encode())
        writer.write(ASKED)
        rest = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert f"HTTP/1.1 {last} ".encode() in begin + rest


@pytest.mark.parametrize(("encoding", "pack"), ENCODINGS.values(), ids=ENCODINGS)
async def test_a_compressed_request_is_decoded(
    http: aiohttp.ClientSession, encoding: str, pack: Callable[[bytes], bytes]
):
    async with gateway_to(says(completion())) as (engine, gateway):
        back = await send(http, gateway.url + CHAT, pack(ASKED), **{"Content-Encoding": encoding})
    assert back.status == 200
    assert engine.bodies == [ASKED]
    assert "content-encoding" not in engine.header_names()


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", b"no gzip", 400),
        ("deflate", b"\x78no deflate", 400),
        ("lzma", b"x", 415),
        ("gzip, lzma", b"x", 415),
    ],
)
async def test_a_body_that_cannot_be_decoded_is_refused(
    http: aiohttp.ClientSession, encoding: str, body: bytes, status: int
):
    async with gateway_to(says(completion())) as (engine, gateway):
        back = await send(http, gateway.url + CHAT, body, **{"Content-Encoding": encoding})
        replica = (await ask_admin(http, gateway, "/scepsy/status")).json()["replicas"]
    assert back.status == status
    error = back.json()["error"]
    assert error["code"] == ("unsupported_encoding" if status == 415 else "invalid_request")
    assert status == 400 or "gzip, deflate" in error["message"]
    assert (engine.calls, replica[0]["healthy"]) == (0, True)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize(("encoding", "pack"), ENCODINGS.values(), ids=ENCODINGS)
async def test_a_compressed_answer_passes_and_is_recorded(
    http: aiohttp.ClientSession,
    tmp_path: Path,
    encoding: str,
    pack: Callable[[bytes], bytes],
    accepted: bool,
    streamed: bool,
):
    body = chunk("hi") + usage_chunk() + DONE if streamed else completion()
    kind = "text/event-stream" if streamed else "application/json"
    header = f"Content-Encoding: {encoding}\r\n".encode()
    sent = {"Accept-Encoding": "gzip;q=0.5, deflate" if accepted else "identity"}
    asked = {"model": "m", "stream": streamed, "stream_options": {"include_usage": True}}
    packed = pack(body)
    async with (
        raw_peer(lambda _: http_answer(packed, 200, kind, header)) as peer,
        running(config(peer.url, tmp_path)) as gateway,
    ):
        back = await send(http, gateway.url + CHAT, asked, **sent)
    if accepted:
        assert (back.headers["Content-Encoding"], back.body) == (encoding, packed)
    else:
        assert back.body == body
        assert back.headers.get("Content-Encoding", "identity") == "identity"
    call = the_call(tmp_path)
    assert (call.prompt_tokens, call.output_tokens, call.ok) == (7, 2, True)


@pytest.mark.parametrize("encoding", ["lzma", "zstd", "br"])
async def test_an_answer_in_an_unknown_encoding_passes_untouched(
    http: aiohttp.ClientSession, tmp_path: Path, encoding: str
):
    header = f"Content-Encoding: {encoding}\r\n".encode()
    async with (
        raw_peer(lambda _: http_answer(b"\xff\xff?", headers=header)) as peer,
        running(config(peer.url, tmp_path)) as gateway,
    ):
        back = await send(http, gateway.url + CHAT, ASKED)
        replica = (await ask_admin(http, gateway, "/scepsy/status")).json()
    assert (back.status, back.body) == (200, b"\xff\xff?")
    assert back.headers["Content-Encoding"] == encoding
    assert replica["replicas"][0]["healthy"]


async def test_a_compressed_error_is_read(http: aiohttp.ClientSession, tmp_path: Path):
    refusal = gzip.compress(b'{"detail": "too long"}')
    answer = http_answer(refusal, 404, headers=b"Content-Encoding: gzip\r\n")
    async with raw_peer(lambda _: answer) as peer, running(config(peer.url, tmp_path)) as gateway:
        back = await send(http, gateway.url + CHAT, ASKED)
    assert (back.status, back.json()["error"]["message"]) == (404, "too long")
    assert the_call(tmp_path).error == "too long"


def test_zstandard_is_decoded_where_it_is_installed():
    zstandard = pytest.importorskip("zstandard")
    packed = zstandard.ZstdCompressor().compress(b"hello" * 5000)
    assert decoded(packed, "zstd") == b"hello" * 5000


def test_a_decompression_bomb_is_refused_early():
    bomb = gzip.compress(b"\0" * (300 << 20), compresslevel=9)
    with pytest.raises(CannotDecode, match="more than 256 MiB"):
        Decoder("gzip").feed(bomb)


@pytest.mark.parametrize(
    ("header", "encoding", "accepted"),
    [
        ("gzip, deflate", "gzip", True),
        ("*", "br", True),
        ("gzip;q=0", "gzip", False),
        ("gzip; q=0.0, *", "gzip", False),
        ("", "gzip", False),
        ("gzip", "gzip, br", False),
        ("identity", "identity", True),
    ],
)
def test_the_accepted_encodings_of_a_caller_are_parsed(header: str, encoding: str, accepted: bool):
    assert accepts(header, encoding) == accepted
