"""A gateway that is told to stop takes no new calls, and running ones end."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest
from emulated_fleet import counter, fleet, routes_to
from gateway_peers import CHAT, all_calls, send
from test_gateway_process import gateway_process

from scepsy.deploy.gateway_client import drained, put_routes
from scepsy.deploy.local.health import health
from scepsy.engines.procfs import identity
from scepsy.gateway.config import GRACE, GatewayConfig
from scepsy.gateway.server import running

RUNNING = "vllm:num_requests_running"


def ask(tokens: int) -> dict[str, object]:
    messages = [{"role": "user", "content": "Say something."}]
    return {"model": "m", "messages": messages, "max_tokens": tokens, "ignore_eos": True}


@pytest.mark.parametrize("stream", [False, True])
async def test_sigterm_lets_calls_end_and_refuses_new_ones(
    http: aiohttp.ClientSession, tmp_path: Path, stream: bool
) -> None:
    traces = tmp_path / "t"
    async with fleet(tmp_path, 1) as engines:
        config = GatewayConfig(routes=routes_to(engines), traces=str(traces))
        with gateway_process(tmp_path, config) as (url, child):
            born = identity(child.pid)
            assert born is not None
            body = {**ask(300), "stream": stream}
            call = asyncio.create_task(send(http, url + CHAT, body))
            while not await counter(http, engines[0].url, RUNNING):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            child.send_signal(signal.SIGTERM)
            while (await send(http, url + "/health", b"", "GET")).status != 503:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            told = await send(http, url + "/health", b"", "GET")
            assert told.json() == {"status": "draining"}
            assert await health(child.pid, born, url) == "ready"  # a supervisor lets it finish
            refused = await send(http, url + CHAT, body)
            assert (refused.status, refused.json()["error"]["code"]) == (503, "closing")
            assert refused.headers["Retry-After"] == "1"
            assert refused.headers["Connection"] == "close"
            assert not call.done()
            back = await call
            assert back.status == 200
            assert not stream or back.body.endswith(b"data: [DONE]\n\n")
            assert await asyncio.to_thread(child.wait, 10) == 0
    assert [one.status for one in all_calls(traces)] == [200]


async def test_calls_that_outlast_the_grace_are_cut(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    traces = tmp_path / "t"
    async with fleet(tmp_path, 1) as engines:
        config = GatewayConfig(routes=routes_to(engines), traces=str(traces), grace=0.5)
        with gateway_process(tmp_path, config) as (url, child):
            async with http.post(url + CHAT, json={**ask(4000), "stream": True}) as answer:
                await answer.content.readany()
                child.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(child.wait, 30) == 0
        while await counter(http, engines[0].url, RUNNING):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert len(all_calls(traces)) == 1


def test_the_default_grace_is_minutes_and_the_same_everywhere() -> None:
    assert GatewayConfig().grace == GRACE >= 120


async def test_a_replica_drains_by_what_the_gateway_knows_also_without_a_route(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with fleet(tmp_path, 2) as engines:
        routes = routes_to(engines)
        async with running(GatewayConfig(routes=routes[:1])) as gateway:
            call = asyncio.create_task(send(http, gateway.url + CHAT, ask(200)))
            while not await counter(http, engines[0].url, RUNNING):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await put_routes(gateway.admin, routes[1:])
            assert await drained(gateway.admin, ["m-0"], 0.1) == {"m-0": 1}
            assert await drained(gateway.admin, ["m-0"], 60) == {}
            assert call.done() or (await call).status == 200
            assert await counter(http, engines[0].url, RUNNING) == 0
