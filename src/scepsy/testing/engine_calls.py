"""Calls of engines as their clients make them, for tests."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec

from scepsy.engines import EngineProcess

Json = dict[str, Any]


def chat_body(content: str = "Tell me of the sea.", **options: object) -> Json:
    return {"model": "generate", "messages": [{"role": "user", "content": content}], **options}


async def chat(
    http: aiohttp.ClientSession,
    engine: EngineProcess,
    *,
    content: str = "Tell me of the sea.",
    **options: object,
) -> Json:
    return await post(http, f"{engine.url}/v1/chat/completions", chat_body(content, **options))


async def post(http: aiohttp.ClientSession, url: str, body: Json) -> Json:
    async with http.post(url, json=body) as response:
        text = await response.text()
        assert response.status == 200, text
    return msgspec.json.decode(text)


async def refused(
    http: aiohttp.ClientSession,
    engine: EngineProcess,
    body: bytes,
    *,
    statuses: tuple[int, ...] = (400, 404, 422),
) -> None:
    headers = {"Content-Type": "application/json"}
    url = f"{engine.url}/v1/chat/completions"
    async with http.post(url, data=body, headers=headers) as response:
        text = await response.text()
    assert response.status in statuses, text
    error = msgspec.json.decode(text)["error"]
    assert error["message"]
    # A number from engines, as in vLLM; a word from the gateway, as in OpenAI's API.
    assert error["code"] == response.status or isinstance(error["code"], str)


async def first_byte(http: aiohttp.ClientSession, url: str, body: Json) -> bytes:
    """The first bytes of the answer; returns without waiting for the rest."""
    async with http.post(url, json=body) as response:
        return await response.content.readany()


async def metric(http: aiohttp.ClientSession, engine: EngineProcess, name: str) -> float:
    async with http.get(f"{engine.url}/metrics") as response:
        lines = (await response.text()).splitlines()
    [value] = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name}{{")]
    return float(value)


def events(stream: bytes) -> list[bytes]:
    """The data of each server-sent event."""
    lines = stream.split(b"\n")
    return [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]


def check_usage(usage: Json) -> None:
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def until_running(
    http: aiohttp.ClientSession, engine: EngineProcess, *, wanted: bool
) -> None:
    """Waits until the engine runs a sequence, or until it runs none."""
    async with asyncio.timeout(10):
        while bool(await metric(http, engine, "vllm:num_requests_running")) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
