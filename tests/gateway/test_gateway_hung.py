"""A replica that hangs (SIGSTOP: its socket stays open) is found, and its calls go elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from emulated_fleet import fleet, routes_to
from gateway_peers import CHAT, all_calls, ask_admin, send

from scepsy.deploy.gateway_client import counts
from scepsy.engines import EngineProcess
from scepsy.gateway.config import GatewayConfig
from scepsy.gateway.server import Gateway, running

HUNG_AFTER = 1.0


def config(engines: list[EngineProcess], traces: Path) -> GatewayConfig:
    """With bounds for which a test need not wait for long."""
    return GatewayConfig(
        routes=routes_to(engines),
        traces=str(traces),
        first_byte_probe=0.3,
        silence_probe=0.3,
        hung_after=HUNG_AFTER,
    )


@contextmanager
def stopped(engine: EngineProcess) -> Iterator[None]:
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(engine.pid, signal.SIGCONT)


def ask(tokens: int = 8, **fields: object) -> dict[str, object]:
    messages = [{"role": "user", "content": "Say something."}]
    return {"model": "m", "messages": messages, "max_tokens": tokens, "ignore_eos": True, **fields}


async def health(http: aiohttp.ClientSession, gateway: Gateway) -> dict[str, bool]:
    status = (await ask_admin(http, gateway, "/scepsy/status")).json()
    return {one["replica"]: one["healthy"] for one in status["replicas"]}


async def test_no_call_is_lost_to_a_replica_that_hangs(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with fleet(tmp_path, 2) as engines, running(config(engines, tmp_path / "t")) as gateway:
        url = gateway.url + CHAT
        with stopped(engines[0]):
            async with asyncio.timeout(60):
                backs = await asyncio.gather(*(send(http, url, ask()) for _ in range(12)))
                assert [back.status for back in backs] == [200] * 12
                assert not (await health(http, gateway))["m-0"]
                assert (await send(http, url, ask())).status == 200
        async with asyncio.timeout(30):  # it comes back when it goes on
            while not (await health(http, gateway))["m-0"]:
                await send(http, url, ask())
        told = await counts(gateway.admin)
    assert told.in_flight == 0
    moved = [call for call in all_calls(tmp_path / "t") if call.attempts == 2]
    assert moved
    assert all(call.status == 200 for call in all_calls(tmp_path / "t"))


async def test_a_stream_at_a_replica_that_hangs_ends_with_an_error(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with fleet(tmp_path, 1) as engines, running(config(engines, tmp_path / "t")) as gateway:
        body = ask(4_000, stream=True)
        async with http.post(gateway.url + CHAT, json=body) as answer:
            await answer.content.readany()
            with stopped(engines[0]):
                async with asyncio.timeout(60):
                    rest = await answer.content.read()
        last = rest.rstrip().rsplit(b"\n\n", 1)[-1]
        error = json.loads(last.removeprefix(b"data: "))["error"]
        assert error["code"] == "engine_died"
        assert "health" in error["message"]


async def test_a_busy_engine_is_not_taken_for_a_hung_one(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """It sends no byte for many times the bound, but it answers its health check."""
    async with fleet(tmp_path, 2) as engines, running(config(engines, tmp_path / "t")) as gateway:
        backs = await asyncio.gather(*(send(http, gateway.url + CHAT, ask(500)) for _ in range(4)))
        assert all((await health(http, gateway)).values())
    assert [back.status for back in backs] == [200] * 4
    calls = all_calls(tmp_path / "t")
    assert [call.attempts for call in calls] == [1] * 4
    assert min(call.end - call.start for call in calls) > 2 * HUNG_AFTER


@pytest.mark.parametrize("stream", [False, True])
async def test_a_lone_replica_that_hangs_is_an_error(
    http: aiohttp.ClientSession, tmp_path: Path, stream: bool
) -> None:
    async with fleet(tmp_path, 1) as engines, running(config(engines, tmp_path / "t")) as gateway:
        url = gateway.url + CHAT
        with stopped(engines[0]):
            async with asyncio.timeout(60):
                back = await send(http, url, ask(stream=stream))
        assert back.status == 504
        assert back.json()["error"]["code"] == "engine_hung"
        assert (await send(http, url, ask(stream=stream))).status == 200
