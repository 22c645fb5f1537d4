"""Marks reach the gateway from every client, task and thread, and nobody else."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from threading import Thread
from typing import Any

import aiohttp
import httpx2
import pytest
import requests
from openai import AsyncOpenAI

import marking_jobs
from openai_like import OpenAiLike, openai_like
from scepsy import workflow
from scepsy.errors import BadInput
from scepsy.marking import RUN_HEADER, WORKFLOW_HEADER

BODY: dict[str, Any] = {"model": "m", "messages": []}


async def by_openai(url: str) -> None:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
        await client.chat.completions.create(**BODY)


async def by_aiohttp(url: str) -> None:
    async with aiohttp.ClientSession(url) as session:
        headers = {"x-own": "1", RUN_HEADER.upper(): "stale"}
        async with session.post("/v1/chat/completions", json=BODY, headers=headers) as response:
            assert response.status == 200


async def by_httpx2(url: str) -> None:
    async with httpx2.AsyncClient() as client:
        await client.post(f"{url}/v1/chat/completions", json=BODY)


async def by_httpx(url: str) -> None:
    httpx = pytest.importorskip("httpx")
    async with httpx.AsyncClient() as client:
        await client.post(f"{url}/v1/chat/completions", json=BODY)


def post_httpx2(url: str) -> None:
    with httpx2.Client() as client:
        client.post(f"{url}/v1/chat/completions", json=BODY)


def post_requests(url: str) -> None:
    with requests.Session() as session:
        session.post(f"{url}/v1/chat/completions", json=BODY)


def marks(server: OpenAiLike) -> list[tuple[str | None, str | None]]:
    return [(h.get(WORKFLOW_HEADER), h.get(RUN_HEADER)) for _, h, _ in server.requests]


@pytest.mark.parametrize("call", [by_openai, by_aiohttp, by_httpx, by_httpx2])
async def test_each_async_client_carries_the_mark(call: Any) -> None:
    async with openai_like() as server:
        async with workflow("rag", gateway=server.url) as run:
            await call(server.url)
        await call(server.url)
    (_, first_headers, _), _ = server.requests
    assert marks(server)[0] == ("rag", run.run)
    # Outside of the run, only what the caller itself has sent.
    assert marks(server)[1][0] is None
    if call is by_aiohttp:
        assert first_headers["x-own"] == "1"


@pytest.mark.parametrize("post", [post_httpx2, post_requests])
async def test_each_blocking_client_carries_the_mark(post: Callable[[str], None]) -> None:
    async with openai_like() as server:
        with workflow("rag", "r1", gateway=server.url):
            await asyncio.to_thread(post, server.url)
    assert marks(server) == [("rag", "r1")]


async def test_many_runs_at_once_keep_apart() -> None:
    async with openai_like() as server:

        async def one(run: str) -> None:
            async with workflow("beam", run, gateway=server.url):
                await asyncio.gather(*(by_openai(server.url) for _ in range(3)))

        await asyncio.gather(*(one(f"r{i}") for i in range(8)))
    assert sorted(marks(server)) == sorted(("beam", f"r{i}") for i in range(8) for _ in range(3))


async def test_threads_and_pools_carry_the_mark_of_whoever_started_them() -> None:
    async with openai_like() as server:
        with ThreadPoolExecutor(max_workers=1) as pool:

            def in_two_runs() -> None:
                for run in ("r1", "r2"):
                    with workflow("w", run, gateway=server.url):
                        pool.submit(post_httpx2, server.url).result()
                pool.submit(post_httpx2, server.url).result()
                with workflow("w", "r3", gateway=server.url):
                    thread = Thread(target=post_httpx2, args=(server.url,))
                    thread.start()
                thread.join()

            await asyncio.to_thread(in_two_runs)
    assert marks(server) == [("w", "r1"), ("w", "r2"), (None, None), ("w", "r3")]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
async def test_child_processes_carry_the_mark_of_whoever_gave_them_their_job(method: str) -> None:
    """A pool forked in the first run must not mark the second run's calls as the first's."""
    async with openai_like() as server:

        def in_three_runs() -> None:
            context = multiprocessing.get_context(method)
            with ProcessPoolExecutor(1, mp_context=context) as executor, context.Pool(1) as pool:
                for run in ("r1", "r2"):
                    with workflow("w", run, gateway=server.url):
                        executor.submit(marking_jobs.post, server.url).result()
                        pool.map(marking_jobs.post, [server.url])
                        pool.apply(marking_jobs.post, (server.url,))
                executor.submit(marking_jobs.post, server.url).result()
                list(pool.imap(marking_jobs.post, [server.url]))
            with workflow("w", "r3", gateway=server.url):
                child = context.Process(target=marking_jobs.post, args=(server.url,))
                child.start()
            child.join()

        await asyncio.to_thread(in_three_runs)
    of_runs = [("w", "r1")] * 3 + [("w", "r2")] * 3
    assert marks(server) == [*of_runs, (None, None), (None, None), ("w", "r3")]


async def test_each_call_of_a_decorated_function_is_a_run() -> None:
    async with openai_like() as server:

        @workflow("deco", gateway=server.url)
        async def answer() -> str:
            await asyncio.gather(by_openai(server.url), by_httpx2(server.url))
            return "yes"

        @workflow("plain", gateway=server.url)
        def blocking() -> None:
            post_requests(server.url)

        assert await asyncio.gather(answer(), answer()) == ["yes", "yes"]
        await asyncio.to_thread(blocking)
    seen = marks(server)
    assert sorted(seen.count(mark) for mark in set(seen)) == [1, 2, 2]
    assert seen[-1][0] == "plain"


def test_a_generator_is_not_decorated() -> None:
    with pytest.raises(BadInput, match="is a generator"):

        @workflow("w")
        def steps() -> Any:  # pyright: ignore
            yield 1


async def test_only_the_gateway_sees_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    async with openai_like() as gateway, openai_like() as other:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{gateway.url}/v1")
        async with workflow("rag", "r1"):
            for call in (by_httpx2, by_openai):
                await call(gateway.url)
                await call(other.url)
            await asyncio.to_thread(post_requests, other.url)
            async with aiohttp.ClientSession() as session, session.post(other.url, json=BODY):
                pass
    assert marks(gateway) == [("rag", "r1")] * 2
    assert marks(other) == [(None, None)] * 4


async def test_an_inner_run_wins_and_the_outer_comes_back() -> None:
    async with openai_like() as server:
        with workflow("outer", "o", gateway=server.url):
            with workflow("inner", "i", gateway=server.url):
                await by_httpx2(server.url)
            await by_httpx2(server.url)
    assert marks(server) == [("inner", "i"), ("outer", "o")]


async def test_without_a_gateway_nothing_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_BASE", raising=False)
    async with openai_like() as server:
        with workflow("rag"):
            await by_httpx2(server.url)
    assert marks(server) == [(None, None)]


async def test_a_client_that_is_imported_within_the_run_is_marked_too() -> None:
    program = (
        "import sys\n"
        "from scepsy import workflow\n"
        "with workflow('late', 'r1'):\n"
        "    assert not {'httpx', 'httpx2', 'requests', 'aiohttp'} & set(sys.modules)\n"
        "    import httpx2, requests\n"
        "    httpx2.post(sys.argv[1], json={'model': 'm'})\n"
        "    requests.post(sys.argv[1], json={'model': 'm'})\n"
    )
    async with openai_like() as server:
        url = f"{server.url}/v1/chat/completions"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, url, env={"OPENAI_BASE_URL": url, "PATH": ""}
        )
        assert await process.wait() == 0
    assert marks(server) == [("late", "r1")] * 2


@pytest.mark.parametrize("name", ["", " rag", "r\nag", "räg"])
def test_names_that_no_header_can_carry_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="cannot name a workflow"):
        workflow(name)


def test_importing_scepsy_loads_no_client() -> None:
    program = (
        "import sys, scepsy; scepsy.workflow; "
        "sys.exit(bool({'httpx', 'aiohttp', 'openai', 'requests'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
