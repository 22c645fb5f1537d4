"""The gateway as a process, its routes, its counts."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest
from gateway_peers import (
    CHAT,
    DONE,
    ask_admin,
    chunk,
    completion,
    gateway_to,
    peer,
    says,
    send,
    streams,
    until,
)

from scepsy.core.trace import RunMark
from scepsy.engines import free_port
from scepsy.engines.procfs import identity, is_alive
from scepsy.errors import BadInput, PortInUse
from scepsy.gateway.access.admin_access import read_access
from scepsy.gateway.config import AdminConfig, GatewayConfig, Route
from scepsy.gateway.server import running
from scepsy.store import read_traces, write_record
from scepsy.store.trace_files import files_of


@contextmanager
def gateway_process(
    directory: Path, config: GatewayConfig, *arguments: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    path = directory / "gateway.json"
    write_record(path, config)
    argv = [sys.executable, "-m", "scepsy.gateway", "--config", str(path), *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield child.stdout.readline().removeprefix("listening on ").strip(), child
        finally:
            child.kill()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_calls_in_flight_finish(
    http: aiohttp.ClientSession, tmp_path: Path, sign: signal.Signals
):
    go_on = asyncio.Event()

    async def wait(_: object) -> None:
        await go_on.wait()

    async with peer(streams(chunk("one"), DONE, then=wait)) as engine:
        config = GatewayConfig(
            routes=(Route(llm="m", replica="m-0", url=engine.url),), traces=str(tmp_path / "t")
        )
        with gateway_process(tmp_path, config) as (url, child):
            body = {"model": "m", "stream": True}
            async with http.post(url + CHAT, json=body) as response:
                got = await response.content.readany()
                child.send_signal(sign)
                while (await send(http, url + "/health", b"", "GET")).status == 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                go_on.set()
                got += await response.content.read()
            assert got == chunk("one") + DONE
            assert await asyncio.to_thread(child.wait, 10) == 0
    (trace,) = read_traces(tmp_path / "t").traces
    assert trace.calls[0].status == 200


def test_the_gateway_ends_with_its_parent_process(tmp_path: Path):
    path = tmp_path / "gateway.json"
    write_record(path, GatewayConfig())
    program = (
        "import os, subprocess, sys\n"
        f"argv = [sys.executable, '-m', 'scepsy.gateway', '--config', {str(path)!r}]\n"
        "argv += ['--exit-with-parent', str(os.getpid())]\n"
        "child = subprocess.Popen(argv, stdout=subprocess.PIPE)\n"
        "assert child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        born = identity(pid)
        assert born is not None
        parent.kill()
    asyncio.run(until(lambda: not is_alive(pid, born)))


@contextmanager
def supervised(config: Path) -> Iterator[subprocess.Popen[str]]:
    """The parent of a gateway; it prints the gateway's address."""
    program = (
        "import os, subprocess, sys\n"
        f"argv = [sys.executable, '-m', 'scepsy.gateway', '--config', {str(config)!r}]\n"
        "argv += ['--exit-with-parent', str(os.getpid())]\n"
        "child = subprocess.Popen(argv, stdout=subprocess.PIPE)\n"
        "print(child.stdout.readline().split()[-1].decode(), flush=True)\n"
        "input()\n"
    )
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


async def test_a_gateway_whose_supervisor_died_leaves_its_ports_and_finishes_its_calls(
    http: aiohttp.ClientSession, tmp_path: Path
):
    """The next supervisor starts another gateway there at once, and its calls are served."""
    go_on = asyncio.Event()

    async def wait(_: object) -> None:
        await go_on.wait()

    admin = AdminConfig(port=free_port(), file=str(tmp_path / "admin"))
    async with peer(streams(chunk("one"), DONE, then=wait)) as engine:
        routes = (Route(llm="m", replica="m-0", url=engine.url),)
        config = GatewayConfig(port=free_port(), routes=routes, admin=admin)
        path = tmp_path / "gateway.json"
        write_record(path, config)
        with supervised(path) as up:
            assert up.stdout is not None
            url = (await asyncio.to_thread(up.stdout.readline)).strip()
            body = {"model": "m", "stream": True}
            async with http.post(url + CHAT, json=body) as answer:
                got = await answer.content.readany()
                up.kill()
                await until(lambda: not _is_listened_on(url))
                with gateway_process(tmp_path, config) as (again, _):
                    assert again == url
                    models = await send(http, url + "/v1/models", b"", "GET", Connection="close")
                    assert models.status == 200
                    go_on.set()
                    got += await answer.content.read()
                    assert got == chunk("one") + DONE
                    assert read_access(tmp_path / "admin") is not None


def _is_listened_on(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname or "", parts.port or 0)) == 0


def test_a_start_that_fails_prints_one_line(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with gateway_process(tmp_path, GatewayConfig(port=port)) as (_, child):
            assert child.wait(10) == PortInUse.exit_code
            assert child.stderr is not None
            said = child.stderr.read()
            assert said == (f"scepsy.gateway: port {port} is in use on 127.0.0.1; choose another\n")
    with gateway_process(tmp_path, GatewayConfig(upstream="nonsense")) as (_, child):
        assert child.wait(10) == BadInput.exit_code
        assert child.stderr is not None
        assert "upstream: 'nonsense' is not an http:// or https:// URL" in child.stderr.read()


async def test_an_exception_in_the_block_is_raised_unchanged():
    with pytest.raises(ZeroDivisionError):
        async with running(GatewayConfig()):
            raise ZeroDivisionError
    twice = (Route(llm="m", replica="r", url="http://h"),) * 2
    with pytest.raises(BadInput, match="replica 'r' is there more than once"):
        async with running(GatewayConfig(routes=twice)):
            pass


async def test_new_routes_lose_no_call_in_flight(http: aiohttp.ClientSession):
    go_on = asyncio.Event()

    async def wait(_: object) -> None:
        await go_on.wait()

    slow = streams(chunk("old"), then=wait)
    async with gateway_to(slow) as (old, gateway), peer(says(completion("new"))) as new:
        async with http.post(gateway.url + CHAT, json={"model": "m", "stream": True}) as running_on:
            assert await running_on.content.readany() == chunk("old")
            routes = (
                Route(llm="m", replica="m-1", url=new.url),
                Route(llm="n", replica="n-0", url=new.url + "/v1"),
            )
            body = msgspec.json.encode(routes)
            back = await ask_admin(http, gateway, "/scepsy/routes", body, "PUT")
            assert back.status == 200
            for llm in ("m", "n"):
                got = await send(http, gateway.url + CHAT, {"model": llm})
                assert got.body == completion("new")
            go_on.set()
            assert await running_on.content.read() == b""
        assert (old.calls, new.paths) == (1, [CHAT, CHAT])
        models = (await send(http, gateway.url + "/v1/models", b"", "GET")).json()
        assert [model["id"] for model in models["data"]] == ["m", "n"]
        one = await send(http, gateway.url + "/w/a/b/v1/models/n", b"", "GET")
        assert one.json()["id"] == "n"
        none = await send(http, gateway.url + "/v1/models/x", b"", "GET")
        assert none.json()["error"]["code"] == "model_not_found"


async def test_bad_routes_change_nothing(http: aiohttp.ClientSession):
    async with gateway_to(says(completion())) as (_, gateway):
        for body, words in (
            (b"[{", "truncated"),
            (b'[{"llm":"m","replica":"r"}]', "missing required field `url`"),
            (b'[{"llm":"m","replica":"r","url":"ftp://x"}]', "replica 'r': url: 'ftp://x' is not"),
            (b'[{"llm":"m","replica":"r","url":"http://x","capacity":0}]', "capacity"),
        ):
            back = await ask_admin(http, gateway, "/scepsy/routes", body, "PUT")
            assert back.status == 400
            assert words in back.json()["error"]["message"]
        assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200


async def test_metrics_count_calls(http: aiohttp.ClientSession, tmp_path: Path):
    async with gateway_to(says(completion()), tmp_path) as (_, gateway):
        await send(http, gateway.url + CHAT, {"model": "m"})
        await send(http, gateway.url + CHAT, {"model": 'odd"'})
        status = (await ask_admin(http, gateway, "/scepsy/status")).json()
        text = (await ask_admin(http, gateway, "/metrics")).body.decode()
        assert (await send(http, gateway.url + "/health", b"", "GET")).status == 200
    assert status["llms"] == [
        {"llm": "m", "replicas": 1, "healthy": 1, "in_flight": 0, "served": 1, "failed": 0}
    ]
    assert status["started"] > 1.7e9
    lines = text.splitlines()
    assert 'scepsy_gateway_calls_total{llm="m",status="200"} 1' in lines
    assert 'scepsy_gateway_calls_total{llm="odd\\"",status="404"} 1' in lines
    assert 'scepsy_gateway_replica_healthy{llm="m",replica="m-0"} 1' in lines
    assert 'scepsy_gateway_replica_served_total{llm="m",replica="m-0"} 1' in lines


async def test_a_run_may_be_marked(http: aiohttp.ClientSession, tmp_path: Path):
    mark = msgspec.json.encode(RunMark(run="r", workflow="w", start=1.0, end=3e9))
    async with gateway_to(says(completion()), tmp_path) as (_, gateway):
        await send(http, f"{gateway.url}/w/w/r{CHAT}", {"model": "m"})
        assert (await send(http, gateway.url + "/scepsy/runs", mark)).status == 200
        assert (await send(http, gateway.url + "/scepsy/runs", b"{}")).status == 400
    (trace,) = read_traces(tmp_path).traces
    assert (trace.start, trace.end) == (1.0, 3e9)
    async with gateway_to(says(completion())) as (_, gateway):
        assert (await send(http, gateway.url + "/scepsy/runs", mark)).status == 409


@pytest.mark.parametrize(
    "times", ['"start": 2, "end": 1', '"start": 0, "end": 1e999', '"start": -1e999, "end": 0']
)
async def test_a_mark_with_impossible_times_is_refused(
    http: aiohttp.ClientSession, tmp_path: Path, times: str
):
    body = f'{{"run": "r", "workflow": "w", {times}}}'.encode()
    async with gateway_to(says(completion()), tmp_path) as (_, gateway):
        assert (await send(http, gateway.url + "/scepsy/runs", body)).status == 400
    assert not files_of(tmp_path, "runs")


async def test_a_mark_that_cannot_be_written_is_an_error(
    http: aiohttp.ClientSession, tmp_path: Path
):
    mark = msgspec.json.encode(RunMark(run="r", workflow="w", start=1.0, end=2.0))
    async with gateway_to(says(completion()), tmp_path / "t") as (_, gateway):
        shutil.rmtree(tmp_path / "t")
        (tmp_path / "t").touch()  # in the way of the directory
        answer = await send(http, gateway.url + "/scepsy/runs", mark)
    assert answer.status == 500
    assert answer.json()["error"]["code"] == "not_written"
