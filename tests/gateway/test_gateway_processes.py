"""Several gateway processes on one port: balance, new routes, a killed process, counts, a stop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from gateway_peers import CHAT, Peer, all_calls, chunk, completion, peer, says, streams, until
from hypothesis import given
from hypothesis import strategies as st
from test_gateway_process import gateway_process

from scepsy.deploy.gateway_client import counts, put_routes
from scepsy.errors import PortInUse, Unreachable
from scepsy.gateway.access.admin_access import AdminAccess, read_access
from scepsy.gateway.config import AdminConfig, GatewayConfig, Route
from scepsy.gateway.metrics import GatewayStatus, ReplicaCounts
from scepsy.gateway.processes.merging import Samples, summed_samples, summed_status
from scepsy.store.trace_files import files_of

PROCESSES, CALLS, WORKERS = 3, 1000, 12


def routes(*peers: Peer, epoch: int) -> tuple[Route, ...]:
    return tuple(
        Route(llm="m", replica=f"m-{epoch}-{index}", url=one.url) for index, one in enumerate(peers)
    )


def processes_of(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(one) for one in text.split()]


@asynccontextmanager
async def processes(
    folder: Path, *peers: Peer, count: int = PROCESSES
) -> AsyncGenerator[tuple[str, AdminAccess, subprocess.Popen[str]], None]:
    config = GatewayConfig(
        routes=routes(*peers, epoch=0),
        traces=str(folder / "t"),
        processes=count,
        admin=AdminConfig(file=str(folder / "admin.json")),
    )
    with gateway_process(folder, config) as (url, child):
        try:
            access = read_access(folder / "admin.json")
            assert access is not None
            yield url, access, child
        finally:
            child.terminate()
            await asyncio.to_thread(child.wait, 30)


async def call(url: str, run: str) -> int | None:
    """The status, None where the connection was lost. Each call has a connection of its own."""
    connector = aiohttp.TCPConnector(force_close=True)
    try:
        async with (
            aiohttp.ClientSession(connector=connector) as one,
            one.post(f"{url}/w/w/{run}{CHAT}", json={"model": "m"}) as answer,
        ):
            assert await answer.read() == completion()
            return answer.status
    except aiohttp.ClientConnectionError:
        return None


async def get(http: aiohttp.ClientSession, access: AdminAccess, path: str) -> bytes:
    async with http.get(access.url + path, headers=access.headers) as answer:
        assert answer.status == 200
        return await answer.read()


async def status(http: aiohttp.ClientSession, access: AdminAccess) -> GatewayStatus:
    return msgspec.json.decode(await get(http, access, "/scepsy/status"), type=GatewayStatus)


@pytest.mark.slow
async def test_no_call_is_lost_while_routes_change_and_a_process_is_killed(
    http: aiohttp.ClientSession, tmp_path: Path
):
    script = says(completion())
    async with peer(script) as a, peer(script) as b, peer(script) as c, peer(script) as d:
        async with processes(tmp_path, a, b) as (url, access, child):
            outcomes: Counter[object] = Counter()
            numbers = iter(range(CALLS))
            reached: dict[int, asyncio.Event] = {at: asyncio.Event() for at in (300, 600)}

            async def call_on() -> None:
                for number in numbers:
                    if number in reached:
                        reached[number].set()
                    outcomes[await call(url, f"r{number}")] += 1

            async def change() -> tuple[int, int, int]:
                await reached[300].wait()
                await put_routes(access, routes(c, d, epoch=1))
                await asyncio.sleep(0.2)  # calls that had been sent to an engine arrive there
                left = a.calls, b.calls
                await reached[600].wait()
                victim = processes_of(child.pid)[0]
                os.kill(victim, signal.SIGKILL)
                return (*left, victim)

            *_, (left_a, left_b, victim) = await asyncio.gather(
                *(call_on() for _ in range(WORKERS)), change()
            )
            assert outcomes[200] + outcomes[None] == CALLS
            assert outcomes[None] <= WORKERS  # in flight at the process that was killed
            assert (a.calls, b.calls) == (left_a, left_b)
            assert min(c.calls, d.calls) > 0.3 * (c.calls + d.calls)
            async with asyncio.timeout(30):
                while (await status(http, access)).processes < PROCESSES:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert victim not in processes_of(child.pid)
            again = await status(http, access)
            assert {one.replica for one in again.replicas if one.routed} == {"m-1-0", "m-1-1"}
        # A process that is killed loses the records of its last 20 ms.
        assert outcomes[200] - 2 * WORKERS <= len(all_calls(tmp_path / "t")) <= CALLS
        assert len(files_of(tmp_path / "t", "calls")) == PROCESSES + 1


@pytest.mark.slow
async def test_runs_are_spread_over_replicas_as_by_one_process(tmp_path: Path):
    calls: list[tuple[int, int]] = []
    for count in (1, PROCESSES):
        script = says(completion())
        (tmp_path / str(count)).mkdir()
        async with (
            peer(script) as a,
            peer(script) as b,
            processes(tmp_path / str(count), a, b, count=count) as (url, _, _),
        ):
            numbers = iter(range(300))
            await asyncio.gather(*(_call_each(url, numbers) for _ in range(4)))
            calls.append((a.calls, b.calls))
    (one_a, one_b), (several_a, several_b) = calls
    assert one_a + one_b == several_a + several_b == 300
    assert abs(one_a - several_a) <= 0.1 * one_a
    assert abs(one_b - several_b) <= 0.1 * one_b


async def _call_each(url: str, numbers: Iterator[int]) -> None:
    for number in numbers:
        assert await call(url, f"r{number}") == 200


async def test_counts_are_those_of_all_processes_and_outlive_one(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with (
        peer(says(completion())) as engine,
        processes(tmp_path, engine) as (url, access, child),
    ):
        for number in range(30):
            assert await call(url, f"r{number}") == 200
        seen = await status(http, access)
        assert (seen.processes, seen.llms[0].served, seen.llms[0].replicas) == (3, 30, 1)
        line = 'scepsy_gateway_calls_total{llm="m",status="200"} 30'
        healthy = 'scepsy_gateway_replica_healthy{llm="m",replica="m-0-0"} 1'
        text = (await get(http, access, "/metrics")).decode().splitlines()
        assert line in text
        assert healthy in text
        victim = processes_of(child.pid)[0]
        os.kill(victim, signal.SIGKILL)
        await until(lambda: victim not in processes_of(child.pid))
        assert line in (await get(http, access, "/metrics")).decode().splitlines()
        assert (await counts(access)).in_flight == 0
        wrong = msgspec.structs.replace(access, key="x" * 32)
        with pytest.raises(Unreachable, match="admin key is missing or wrong"):
            await put_routes(wrong, ())
        with pytest.raises(Unreachable, match="is not an http"):
            await put_routes(access, (Route(llm="m", replica="r", url="ftp://x"),))


async def test_a_stop_lets_calls_in_flight_end_and_the_port_is_not_shared(tmp_path: Path):
    go_on = asyncio.Event()

    async def wait(_: object) -> None:
        await go_on.wait()

    async with (
        peer(streams(chunk("one"), chunk("two"), then=wait)) as engine,
        processes(tmp_path, engine) as (url, _, child),
    ):
        port = int(url.rpartition(":")[2])
        second = GatewayConfig(port=port, processes=2)
        (tmp_path / "second").mkdir()
        with gateway_process(tmp_path / "second", second) as (_, other):
            assert other.wait(30) == PortInUse.exit_code
        async with (
            aiohttp.ClientSession() as http,
            http.post(url + CHAT, json={"model": "m", "stream": True}) as response,
        ):
            got = await response.content.readany()
            children = processes_of(child.pid)
            child.terminate()
            await until(lambda: len(processes_of(child.pid)) < len(children))
            go_on.set()
            got += await response.content.read()
        assert got == chunk("one") + chunk("two")
        assert await asyncio.to_thread(child.wait, 30) == 0
    (one,) = all_calls(tmp_path / "t")
    assert one.status == 200


async def test_processes_end_with_their_parent(tmp_path: Path):
    async with peer(says(completion())) as engine, processes(tmp_path, engine) as (_, _, child):
        children = processes_of(child.pid)
        assert len(children) == PROCESSES
        child.kill()
        await until(lambda: not any(Path(f"/proc/{one}").exists() for one in children))


async def test_a_configuration_that_no_process_accepts_is_told(tmp_path: Path):
    config = GatewayConfig(processes=2, upstream="nonsense")
    with gateway_process(tmp_path, config) as (_, child):
        assert await asyncio.to_thread(child.wait, 30) == 2
        assert child.stderr is not None
        assert "is not an http:// or https:// URL" in child.stderr.read()


replicas = st.builds(
    ReplicaCounts,
    replica=st.sampled_from(["a", "b"]),
    llm=st.just("m"),
    url=st.just("http://h"),
    healthy=st.booleans(),
    in_flight=st.integers(0, 9),
    served=st.integers(0, 9),
    failed=st.integers(0, 9),
)
statuses = st.builds(
    GatewayStatus,
    started=st.just(1.0),
    in_flight=st.integers(0, 99),
    recorded=st.integers(0, 99),
    waiting=st.integers(0, 99),
    unwritten=st.integers(0, 99),
    replicas=st.lists(replicas, unique_by=lambda one: one.replica).map(tuple),
    llms=st.just(()),
)


@given(st.lists(statuses, max_size=4))
def test_sums_keep_every_count(some: list[GatewayStatus]):
    total = summed_status(some, 5.0)
    assert (total.started, total.processes) == (5.0, len(some))
    for field in ("in_flight", "recorded", "waiting", "unwritten"):
        assert getattr(total, field) == sum(getattr(one, field) for one in some)
    every = [one for each in some for one in each.replicas]
    for name in ("in_flight", "served", "failed"):
        assert sum(getattr(one, name) for one in total.replicas) == sum(
            getattr(one, name) for one in every
        )
    for one in total.replicas:
        assert one.healthy == all(each.healthy for each in every if each.replica == one.replica)


def test_metrics_are_read_as_they_are_written():
    text = (
        "# TYPE scepsy_gateway_calls_total counter\n"
        'scepsy_gateway_calls_total{llm="a b",status="200"} 3\n'
        "# TYPE scepsy_gateway_replica_in_flight gauge\n"
        'scepsy_gateway_replica_in_flight{llm="m",replica="r"} 2\n'
    )
    assert Samples.read(text).text() == text
    both = summed_samples([Samples.read(text), Samples.read(text).counters()])
    assert both.text() == text.replace("} 3", "} 6")
