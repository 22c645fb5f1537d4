"""What engines report while they are driven, summarised for each LLM."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from scepsy.drive import LlmLoad, engines_read, llm_loads
from scepsy.drive.engine_load import EVERY, EngineReader, Reading
from scepsy.engines.load import EngineLoad


def reading(number: int, replica: str, load: EngineLoad, llm: str = "m") -> Reading:
    return Reading(number, 10.0 + number, llm, replica, load)


def test_replicas_are_added_and_usage_is_averaged() -> None:
    found = llm_loads(
        [
            reading(0, "m-0", EngineLoad(1, 0, 0.2, 5.0)),
            reading(0, "m-1", EngineLoad(3, 2, 0.4, 0.0)),
            reading(1, "m-0", EngineLoad(5, 0, 0.6, 5.5)),
            reading(1, "m-1", EngineLoad(1, 4, 0.4, 1.0)),
        ]
    )
    (load,) = found
    assert load == LlmLoad(
        llm="m",
        replicas=2,
        readings=2,
        busy=0.75,
        running_mean=5.0,
        running_max=6.0,
        waiting_mean=3.0,
        waiting_max=4.0,
        kv_usage_mean=pytest.approx(0.4),  # pyright: ignore[reportArgumentType]
        kv_usage_max=0.6,
    )


def test_what_engines_do_not_report_is_unknown() -> None:
    (load,) = llm_loads([reading(n, "m-0", EngineLoad(running=2, waiting=0)) for n in range(3)])
    assert (load.busy, load.kv_usage_mean, load.kv_usage_max) == (None, None, None)
    assert (load.running_mean, load.waiting_max) == (2, 0)


def test_an_engine_that_was_started_again_counts_from_nought() -> None:
    counters = (8.0, 8.5, 0.1, 0.6)
    (load,) = llm_loads(
        [reading(n, "m-0", EngineLoad(busy_seconds=at)) for n, at in enumerate(counters)]
    )
    assert load.busy == pytest.approx(0.5)


def test_one_reading_says_nothing_of_busy_time() -> None:
    (load,) = llm_loads([reading(0, "m-0", EngineLoad(1, 0, 0.1, 9.0))])
    assert load.busy is None
    assert llm_loads([]) == ()


async def test_engines_are_read_and_others_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scepsy.drive.engine_load.EVERY", EVERY / 100)
    asked: list[str] = []
    enough = asyncio.Event()

    async def engine(_: web.Request) -> web.Response:
        asked.append("engine")
        if asked.count("engine") == 4:
            enough.set()
        return web.Response(text='vllm:num_requests_running{model_name="m"} 2.0\n')

    async def hosted(_: web.Request) -> web.Response:
        asked.append("hosted")
        raise web.HTTPNotFound

    async def status(request: web.Request) -> web.Response:
        base = str(request.url.origin())
        replicas = [
            {"llm": "m", "replica": "m-0", "url": base, "healthy": True},
            {"llm": "far", "replica": "far-endpoint", "url": f"{base}/hosted/v1"},
            {"llm": "gone", "replica": "gone-0", "url": "http://127.0.0.1:1"},
        ]
        return web.json_response({"started": 1.0, "replicas": replicas})

    app = web.Application()
    app.router.add_get("/metrics", engine)
    app.router.add_get("/hosted/metrics", hosted)
    app.router.add_get("/scepsy/status", status)
    async with (
        TestServer(app) as server,
        asyncio.timeout(20),
        engines_read(f"{server.make_url('')}".rstrip("/"), {}, after=0, seconds=1000) as readings,
    ):
        await enough.wait()
    (load,) = llm_loads(readings)
    assert (load.llm, load.running_mean) == ("m", 2.0)
    assert asked.count("hosted") == 1


async def test_behind_another_server_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scepsy.drive.engine_load.EVERY", EVERY / 100)
    async with (
        TestServer(web.Application()) as server,
        engines_read(f"{server.make_url('')}".rstrip("/"), {}, after=0, seconds=0.05) as readings,
    ):
        await asyncio.sleep(0.1)
    assert readings == []


@pytest.mark.parametrize("rubbish", [b"\xff\xfe{", b"[" * 100_000, b'{"replicas": 1}', b""])
async def test_a_status_that_is_rubbish_does_not_fail_a_drive(
    rubbish: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scepsy.drive.engine_load.EVERY", EVERY / 100)
    asked = asyncio.Event()

    async def status(_: web.Request) -> web.Response:
        asked.set()
        return web.Response(body=rubbish)

    app = web.Application()
    app.router.add_get("/scepsy/status", status)
    async with (
        TestServer(app) as server,
        asyncio.timeout(20),
        engines_read(f"{server.make_url('')}".rstrip("/"), {}, after=0, seconds=1000) as readings,
    ):
        await asked.wait()
        await asyncio.sleep(0.05)
    assert readings == []


async def test_engines_that_hang_or_answer_rubbish_do_not_delay_the_last_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scepsy.drive.engine_load.EVERY", 0.02)
    monkeypatch.setattr("scepsy.drive.engine_load._PATIENCE", aiohttp.ClientTimeout(total=0.1))
    let_go = asyncio.Event()

    async def engine(_: web.Request) -> web.Response:
        return web.Response(text="vllm:num_requests_running 2\n")

    async def hang(_: web.Request) -> web.Response:
        await let_go.wait()
        return web.Response()

    async def bytes_only(_: web.Request) -> web.Response:
        return web.Response(body=b"\xff\xfe", content_type="text/plain", charset="utf-8")

    async def status(request: web.Request) -> web.Response:
        base = str(request.url.origin())
        urls = {
            "m-0": base,
            "m-1": f"{base}/hang",
            "m-2": f"{base}/bytes",
            "m-3": "http://[",
            "m-4": "",
        }
        replicas = [{"llm": "m", "replica": name, "url": url} for name, url in urls.items()]
        return web.json_response({"replicas": replicas})

    app = web.Application()
    app.router.add_get("/metrics", engine)
    app.router.add_get("/hang/metrics", hang)
    app.router.add_get("/bytes/metrics", bytes_only)
    app.router.add_get("/scepsy/status", status)
    async with TestServer(app) as server, asyncio.timeout(20):
        reader = EngineReader(f"{server.make_url('')}".rstrip("/"), {})
        await reader.run(after=0, seconds=1.0)
        let_go.set()
    # A hanging engine takes 0.1 s, so most of the fifty readings are left out.
    assert {one.replica for one in reader.readings} == {"m-0"}
    assert len(reader.readings) < 20
    assert reader.readings[-1].number > 20
