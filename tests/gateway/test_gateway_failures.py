"""What callers and traces see when engines refuse, fail or die."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateway_peers import (
    CHAT,
    DONE,
    Back,
    all_calls,
    ask_admin,
    chunk,
    completion,
    cut,
    gateway_to,
    hang,
    peer,
    says,
    send,
    streams,
    the_call,
    until,
)

from scepsy.engines import free_port
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import Gateway, running


@dataclass
class Process:
    url: str
    child: subprocess.Popen[str]


@contextmanager
def peer_process(mode: str) -> Iterator[Process]:
    script = Path(__file__).with_name("peer_process.py")
    argv = [sys.executable, str(script), mode]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield Process(child.stdout.readline().strip(), child)
        finally:
            child.kill()


def config(traces: Path, *urls: str) -> GatewayConfig:
    """The first is the one that an idle gateway asks first: the others are far slower."""
    routes = tuple(
        Route(llm="m", replica=f"m-{i}", url=url, capacity=0.1**i) for i, url in enumerate(urls)
    )
    return GatewayConfig(routes=routes, traces=str(traces))


async def replicas(http: aiohttp.ClientSession, gateway: Gateway) -> dict[str, dict[str, Any]]:
    status = (await ask_admin(http, gateway, "/scepsy/status")).json()
    return {one["replica"]: one for one in status["replicas"]}


def check_error(back: Back, status: int, code: str) -> str:
    assert back.status == status
    error = back.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    return error["message"]


async def test_a_killed_replica_loses_no_call_that_another_can_serve(
    http: aiohttp.ClientSession, tmp_path: Path
):
    go_on = asyncio.Event()

    async def when_told(_: web.Request) -> web.StreamResponse:
        await go_on.wait()
        return web.Response(body=completion("from the other"))

    async with peer(when_told) as other:
        with peer_process("wait") as process:
            async with running(config(tmp_path, process.url, other.url)) as gateway:
                url = gateway.url + CHAT
                calls = [asyncio.create_task(send(http, url, {"model": "m"})) for _ in range(40)]
                await until(lambda: other.calls >= 3)
                process.child.kill()
                await until(lambda: other.calls == 40)
                seen = await replicas(http, gateway)
                assert (seen["m-0"]["healthy"], seen["m-0"]["in_flight"]) == (False, 0)
                go_on.set()
                backs = await asyncio.gather(*calls)
                last = await send(http, url, {"model": "m"})
                seen = await replicas(http, gateway)
    assert {back.body for back in [*backs, last]} == {completion("from the other")}
    moved = [call for call in all_calls(tmp_path) if call.attempts == 2]
    assert len(moved) == seen["m-0"]["failed"] > 0
    assert seen["m-1"]["served"] == 41  # the dead one was not asked again
    assert {(call.status, call.replica) for call in all_calls(tmp_path)} == {(200, "m-1")}


@pytest.mark.parametrize("recorded", [False, True])
async def test_a_replica_that_dies_in_a_stream_is_an_error_for_caller_and_trace(
    http: aiohttp.ClientSession, tmp_path: Path, recorded: bool
):
    with peer_process("stream") as process:
        routes = (Route(llm="m", replica="m-0", url=process.url),)
        traces = str(tmp_path) if recorded else None
        async with running(GatewayConfig(routes=routes, traces=traces)) as gateway:
            body = {"model": "m", "stream": True}
            async with http.post(gateway.url + CHAT, json=body) as back:
                got = await back.content.readexactly(len(chunk("one") + chunk("two")))
                process.child.kill()
                last = await back.content.read()
            assert got == chunk("one") + chunk("two")
            assert last.startswith(b"data: ")
            assert last.endswith(b"\n\n")
            error = json.loads(last[6:])["error"]
            assert (error["type"], error["code"]) == ("server_error", "engine_died")
            seen = await replicas(http, gateway)
            assert (seen["m-0"]["in_flight"], seen["m-0"]["failed"]) == (0, 1)
    if recorded:
        call = the_call(tmp_path)
        assert (call.status, call.ok, call.first_token is None) == (502, False, False)
        assert "m-0 broke off" in (call.error or "")


async def test_half_an_event_is_not_passed_on(http: aiohttp.ClientSession):
    async with gateway_to(streams(chunk("one"), b'data: {"cho', then=cut)) as (_, gateway):
        back = await send(http, gateway.url + CHAT, {"model": "m", "stream": True})
    assert back.body.startswith(chunk("one") + b'data: {"error":')


async def test_without_a_live_replica_the_answer_is_503(
    http: aiohttp.ClientSession, tmp_path: Path
):
    url = f"http://127.0.0.1:{free_port()}"
    async with running(config(tmp_path, url)) as gateway:
        back = await send(http, gateway.url + CHAT, {"model": "m"})
    message = check_error(back, 503, "no_replica")
    assert "no replica of 'm' answers: m-0: " in message
    call = the_call(tmp_path)
    assert (call.status, call.error) == (503, message)


async def test_a_replica_that_is_well_again_is_used_again(
    http: aiohttp.ClientSession, tmp_path: Path
):
    dead = free_port()
    async with peer(says(completion())) as other:
        setting = config(tmp_path, f"http://127.0.0.1:{dead}", other.url)
        async with running(setting) as gateway:
            assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200
            assert not (await replicas(http, gateway))["m-0"]["healthy"]
            server = web.AppRunner(_healthy())
            await server.setup()
            await web.TCPSite(server, "127.0.0.1", dead).start()
            while not (await replicas(http, gateway))["m-0"]["healthy"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            back = await send(http, gateway.url + CHAT, {"model": "m"})
            assert back.body == b"it is back"
            await server.cleanup()


def _healthy() -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="ok" if request.path == "/health" else "it is back")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return app


async def test_a_lost_connection_is_tried_again_on_a_fresh_one(
    http: aiohttp.ClientSession, tmp_path: Path
):
    seen: list[str] = []

    async def script(request: web.Request) -> web.StreamResponse:
        seen.append(request.raw_path)
        if len(seen) == 2:
            await cut(request)
        return web.Response(body=completion())

    async with gateway_to(script, tmp_path) as (_, gateway):
        for _ in range(2):
            assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200
        assert (await replicas(http, gateway))["m-0"]["failed"] == 0
    assert len(seen) == 3
    assert [call.attempts for call in all_calls(tmp_path)] == [2, 1]


@pytest.mark.parametrize("status", [400, 404, 429])
async def test_an_engines_refusal_passes_as_it_is(
    http: aiohttp.ClientSession, tmp_path: Path, status: int
):
    refusal = b'{"error": {"message": "too long", "type": "BadRequestError", "code": 400}}'
    async with gateway_to(says(refusal, status), tmp_path) as (engine, gateway):
        back = await send(http, gateway.url + CHAT, {"model": "m", "stream": True})
        assert (await replicas(http, gateway))["m-0"]["healthy"]
    assert (back.status, back.body, engine.calls) == (status, refusal, 1)
    call = the_call(tmp_path)
    assert (call.status, call.error) == (status, "too long")


async def test_a_dying_engines_500_is_tried_elsewhere_once(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with (
        peer(says(b"EngineCore died", 500)) as dying,
        peer(says(completion())) as other,
        running(config(tmp_path, dying.url, other.url)) as gateway,
    ):
        back = await send(http, gateway.url + CHAT, {"model": "m"})
        seen = await replicas(http, gateway)
    assert (back.status, dying.calls, other.calls) == (200, 1, 1)
    assert (seen["m-0"]["failed"], seen["m-0"]["in_flight"]) == (1, 0)
    assert the_call(tmp_path).attempts == 2


async def test_a_call_that_fails_everywhere_is_not_sent_everywhere(
    http: aiohttp.ClientSession, tmp_path: Path
):
    script = says(b"bad luck", 500)
    async with (
        peer(script) as a,
        peer(script) as b,
        peer(script) as c,
        running(config(tmp_path, a.url, b.url, c.url)) as gateway,
    ):
        back = await send(http, gateway.url + CHAT, {"model": "m"})
        seen = await replicas(http, gateway)
    assert (back.status, a.calls + b.calls + c.calls) == (500, 2)
    assert sum(one["failed"] for one in seen.values()) == 2


async def test_if_the_other_replica_is_dead_the_first_500_is_returned(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with peer(says(b"bad luck", 500)) as dying:
        gone = f"http://127.0.0.1:{free_port()}"
        async with running(config(tmp_path, dying.url, gone)) as gateway:
            back = await send(http, gateway.url + CHAT, {"model": "m"})
            seen = await replicas(http, gateway)
    assert (back.status, back.json()["error"]["message"]) == (500, "bad luck")
    assert [one["failed"] for one in seen.values()] == [1, 1]
    assert [one["in_flight"] for one in seen.values()] == [0, 0]


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b"{", None, "not valid JSON"),
        (b"\xff", None, "not valid JSON"),
        (b"[1]", None, "must be a JSON object"),
        (b"{}", "model", "`model` must be"),
        (b'{"model": 3}', "model", "`model` must be"),
    ],
)
async def test_an_invalid_request_is_400(
    http: aiohttp.ClientSession, body: bytes, param: str | None, words: str
):
    async with gateway_to(says(b"")) as (engine, gateway):
        back = await send(http, gateway.url + CHAT, body)
    assert words in check_error(back, 400, "invalid_request")
    assert back.json()["error"]["param"] == param
    assert engine.calls == 0


async def test_an_unknown_model_is_404_and_names_those_there_are(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with gateway_to(says(b""), tmp_path) as (_, gateway):
        back = await send(http, gateway.url + CHAT, {"model": "gpt"})
        nowhere = await send(http, gateway.url + "/v1/nonsense", {"model": "m"})
        wrong = await send(http, gateway.url + CHAT, {"model": "m"}, "DELETE")
    message = check_error(back, 404, "model_not_found")
    assert message == "the model 'gpt' does not exist; the gateway serves m"
    check_error(nowhere, 404, "not_found")
    check_error(wrong, 405, "http_error")
    assert the_call(tmp_path).status == 404


async def test_a_call_above_the_limit_is_429(http: aiohttp.ClientSession):
    async with gateway_to(hang, most_in_flight=2) as (engine, gateway):
        url = gateway.url + CHAT
        held = [asyncio.create_task(send(http, url, {"model": "m"})) for _ in range(2)]
        await until(lambda: engine.calls == 2)
        check_error(await send(http, url, {"model": "m"}), 429, "overloaded")
        for task in held:
            task.cancel()
        await asyncio.wait(held)


async def test_more_than_a_hundred_calls_at_once(http: aiohttp.ClientSession):
    everybody = asyncio.Barrier(150)

    async def script(_: web.Request) -> web.StreamResponse:
        await everybody.wait()
        return web.Response(body=completion() + DONE)

    connector = aiohttp.TCPConnector(limit=0)
    async with (
        gateway_to(script) as (_, gateway),
        aiohttp.ClientSession(connector=connector) as many,
    ):
        calls = (send(many, gateway.url + CHAT, {"model": "m"}) for _ in range(150))
        assert {back.status for back in await asyncio.gather(*calls)} == {200}
