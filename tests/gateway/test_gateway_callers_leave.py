"""A caller that leaves stops the engine's work within one chunk, by the engine's own counters."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest
from emulated_fleet import counter, fleet, routes_to
from gateway_peers import CHAT, all_calls, send

from scepsy.gateway.config import GatewayConfig
from scepsy.gateway.server import running

RUNNING, TOKENS = "vllm:num_requests_running", "vllm:generation_tokens_total"
ASKED = 4000  # tokens; at a few milliseconds each they would take half a minute


def ask(**fields: object) -> dict[str, object]:
    messages = [{"role": "user", "content": "Go on and on."}]
    return {"model": "m", "messages": messages, "max_tokens": ASKED, "ignore_eos": True, **fields}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_that_leaves_stops_the_engines_work(
    http: aiohttp.ClientSession, tmp_path: Path, stream: bool
) -> None:
    traces = tmp_path / "t"
    async with fleet(tmp_path, 1) as engines:
        config = GatewayConfig(routes=routes_to(engines), traces=str(traces))
        async with running(config) as gateway:
            url = engines[0].url
            async with aiohttp.ClientSession() as caller:
                body = ask(stream=stream)
                asked = asyncio.create_task(send(caller, gateway.url + CHAT, body))
                while not await counter(http, url, RUNNING):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                asked.cancel()
                await asyncio.wait([asked])
            while await counter(http, url, RUNNING):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            made = await counter(http, url, TOKENS)
            await asyncio.sleep(0.3)
            assert await counter(http, url, TOKENS) == made < ASKED / 2
    assert [call.status for call in all_calls(traces)] == [499]


async def test_a_caller_that_stops_reading_and_leaves_stops_the_engines_work(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """The gateway waits for that caller at the time, and not for the engine."""
    async with fleet(tmp_path, 1) as engines:
        config = GatewayConfig(routes=routes_to(engines))
        async with running(config) as gateway:
            url, answer = engines[0].url, aiohttp.ClientSession()
            async with answer:
                response = await answer.post(gateway.url + CHAT, json=ask(stream=True))
                await response.content.readany()
                await asyncio.sleep(0.5)  # nobody reads
                response.close()
            while await counter(http, url, RUNNING):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert await counter(http, url, TOKENS) < ASKED / 2


async def test_nothing_is_left_of_calls_that_ended_in_any_way(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """No task, no connection to the engine, no wait for its bytes."""
    async with fleet(tmp_path, 1) as engines:
        config = GatewayConfig(routes=routes_to(engines))
        async with running(config) as gateway:
            await send(http, gateway.url + CHAT, {"model": "m"})
            await asyncio.sleep(0.1)
            tasks = len(asyncio.all_tasks())
            async with aiohttp.ClientSession() as callers:
                for number in range(40):
                    body = ask(stream=bool(number % 2), max_tokens=2 + number * (number % 3) * 30)
                    one = asyncio.create_task(send(callers, gateway.url + CHAT, body))
                    await asyncio.sleep(0.03)
                    one.cancel()
                await asyncio.gather(
                    *(send(callers, gateway.url + CHAT, body) for body in (b"{", b"", b"\xff"))
                )
            async with asyncio.timeout(20):
                while len(asyncio.all_tasks()) > tasks:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                while await counter(http, engines[0].url, RUNNING):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
