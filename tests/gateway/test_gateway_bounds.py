"""What the gateway remembers has bounds; what it cannot write down costs no answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from gateway_peers import (
    CHAT,
    all_calls,
    ask_admin,
    completion,
    gateway_to,
    http_answer,
    peer,
    raw_peer,
    says,
    send,
    the_call,
)

from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.identity.active_runs import ActiveRuns
from scepsy.gateway.identity.labels import Identity
from scepsy.gateway.identity.lineage import Clues, Lineage
from scepsy.gateway.server import running


def entries(value: object, seen: set[int] | None = None) -> int:
    """Entries of all mappings and sets within an object."""
    seen = set[int]() if seen is None else seen
    if id(value) in seen or isinstance(value, str | bytes | int | float | type(None)):
        return 0
    seen.add(id(value))
    if isinstance(value, dict):
        return len(value) + sum(entries(one, seen) for one in value.values())  # pyright: ignore
    if isinstance(value, set | frozenset | list | tuple):
        return len(value) + sum(entries(one, seen) for one in value)  # pyright: ignore
    names = [*getattr(value, "__slots__", ()), *getattr(value, "__dict__", {})]
    return sum(entries(getattr(value, name, None), seen) for name in names)


@pytest.mark.parametrize("ids", [(), ("call_0",)])
def test_finished_labelled_runs_take_no_memory(ids: tuple[str, ...]):
    lineage = Lineage(5.0, "w")
    sizes: list[int] = []
    for number in range(3_000):
        now = 10.0 * number
        said = Identity(f"run-{number}", "w", "header", 1.0)
        identity = lineage.begin(said, Clues("10.0.0.1"), now)
        lineage.end(identity, Clues("10.0.0.1"), now + 1, ids)
        sizes.append(entries(lineage))
    assert max(sizes[1_500:]) <= max(sizes[:1_500]) <= 200


def test_the_number_of_open_runs_is_bounded():
    active = ActiveRuns[int](5.0)
    for run in range(10_000):
        active.began(("c", "w"), run, 0.0)
    assert 0 < len(active.of(("c", "w"), 0.0)) <= 4_096
    active.ended(("c", "w"), 9_999, 1.0)
    assert 9_999 in active.of(("c", "w"), 2.0)
    assert 9_999 not in active.of(("c", "w"), 7.0)


async def test_made_up_names_are_not_counted_one_by_one(http: aiohttp.ClientSession):
    async with gateway_to(says(completion())) as (_, gateway):
        for number in range(200):
            await send(http, gateway.url + CHAT, {"model": f"made-up-{number}"})
        await send(http, gateway.url + CHAT, {"model": "x" * 5_000})
        await send(http, gateway.url + CHAT, {"model": "m"})
        text = (await ask_admin(http, gateway, "/metrics")).body.decode()
    assert len(text.splitlines()) < 100
    assert 'calls_total{llm="(other)",status="404"} 169' in text
    assert 'calls_total{llm="m",status="200"} 1' in text


async def test_an_upstream_for_all_names_does_not_make_them_labels(http: aiohttp.ClientSession):
    async with (
        peer(says(completion())) as engine,
        running(GatewayConfig(upstream=engine.url)) as gateway,
    ):
        for number in range(600):
            await send(http, gateway.url + CHAT, {"model": f"made-up-{number}"})
        text = (await ask_admin(http, gateway, "/metrics")).body.decode()
    assert 'calls_total{llm="(other)",status="200"} 88' in text


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"model": "m", "metadata": {"scepsy_run": "\\ud800"}}', {}),
        (b'{"model": "m", "metadata": {"scepsy_run": "r", "scepsy_workflow": "\\udfff"}}', {}),
        (b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}', {}),
        (b'{"model": "m", "tools": [{"x": 123456789012345678901234567890}]}', {}),
        (b'{"model": "m", "max_tokens": 123456789012345678901234567890}', {}),
    ],
)
async def test_odd_content_is_recorded_and_answered(
    http: aiohttp.ClientSession, tmp_path: Path, body: bytes, headers: dict[str, str]
):
    async with gateway_to(says(completion()), tmp_path) as (_, gateway):
        back = await send(http, gateway.url + CHAT, body, **headers)
        again = await send(http, gateway.url + CHAT, {"model": "m"})
        status = (await ask_admin(http, gateway, "/scepsy/status")).json()
    assert (back.status, back.body, again.status) == (200, completion(), 200)
    assert len(all_calls(tmp_path)) + status["unwritten"] == 2


async def test_a_header_that_is_no_utf8_is_answered(http: aiohttp.ClientSession, tmp_path: Path):
    async with gateway_to(says(completion()), tmp_path) as (_, gateway):
        host = gateway.url.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*host.split(":"))
        body = b'{"model": "m"}'
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\n"
            b"x-scepsy-run: \xff\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert len(all_calls(tmp_path)) == 2


async def test_an_odd_model_name_breaks_nothing(http: aiohttp.ClientSession, tmp_path: Path):
    async with gateway_to(says(completion()), tmp_path) as (_, gateway):
        back = await send(http, gateway.url + CHAT, b'{"model": "\\ud800"}')
        metrics = await ask_admin(http, gateway, "/metrics")
    assert (back.status, metrics.status) == (404, 200)
    assert the_call(tmp_path).status == 404


async def test_a_deeply_nested_body_is_answered(http: aiohttp.ClientSession):
    async with gateway_to(says(completion())) as (_, gateway):
        for depth in (990, 5_000, 200_000):
            body = b'{"model": "m", "x": ' + b"[" * depth + b"]" * depth + b"}"
            assert (await send(http, gateway.url + CHAT, body)).status in (200, 400)


async def replica_order(http: aiohttp.ClientSession, traces: Path | None) -> list[str]:
    """The replica, of three, that each call goes to, where calls carry no run identifier."""
    served: list[str] = []

    def answers(name: str):
        async def script(request: object) -> object:
            served.append(name)
            issued = {"id": f"call_{len(served)}", "function": {"name": "f", "arguments": "{}"}}
            message = {
                "content": f"{name} wrote this long answer which is quoted word by word later"
            }
            choice = {"message": {**message, "tool_calls": [issued]}}
            return web.json_response({"choices": [choice]})

        return script

    async with (
        peer(answers("a")) as a,  # pyright: ignore
        peer(answers("b")) as b,  # pyright: ignore
        peer(answers("c")) as c,  # pyright: ignore
    ):
        routes = tuple(
            Route(llm="m", replica=f"m-{i}", url=one.url) for i, one in enumerate((a, b, c))
        )
        config = GatewayConfig(routes=routes, traces=None if traces is None else str(traces))
        async with running(config) as gateway:
            for run in range(6):
                back = await send(
                    http, gateway.url + CHAT, {"model": "m"}, **{"x-scepsy-run": f"r{run}"}
                )
                issued = back.json()["choices"][0]["message"]["tool_calls"][0]["id"]
                for _ in range(3):
                    said = [{"role": "tool", "tool_call_id": issued, "content": "4"}]
                    await send(http, gateway.url + CHAT, {"model": "m", "messages": said})
    return served


async def test_recording_does_not_change_routing(http: aiohttp.ClientSession, tmp_path: Path):
    recorded = await replica_order(http, tmp_path)
    assert await replica_order(http, None) == recorded
    assert all(len(set(recorded[start : start + 4])) == 1 for start in range(0, 24, 4))


async def test_a_malformed_redirect_of_a_health_check_is_not_healthy(http: aiohttp.ClientSession):
    alive = [False]

    answers = {False: b"HTTP/1.1 302 X\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n"}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            writer.write(answers.get(alive[0], http_answer(b"ok")))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with raw_peer(lambda _: http_answer(completion())) as other:
        routes = (
            Route(llm="m", replica="m-0", url=url),
            Route(llm="m", replica="m-1", url=other.url, capacity=0.1),
        )
        async with running(GatewayConfig(routes=routes)) as gateway:
            assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200
            await asyncio.sleep(0.6)
            alive[0] = True
            for _ in range(100):
                back = await ask_admin(http, gateway, "/scepsy/status")
                if all(one["healthy"] for one in json.loads(back.body)["replicas"]):
                    break
                await asyncio.sleep(0.05)
            else:
                raise AssertionError("it is never taken back")
    server.close()
