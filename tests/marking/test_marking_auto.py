"""Runs that open by themselves, in programs that know nothing of Scepsy.

The frameworks here are a few lines each, laid out as the real ones are (`make frameworks` runs
those); they show the four kinds of entry: plain, coroutine, generator, async generator.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from openai_like import OpenAiLike, openai_like
from scepsy.drive.children import environment
from scepsy.engines import free_port
from scepsy.marking import OPENED_HEADER, RUN_HEADER, WORKFLOW_HEADER
from scepsy.store import read_traces

PREGEL = """
import asyncio, os, httpx2
from concurrent.futures import ThreadPoolExecutor
URL = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
BODY = {"model": "m", "messages": []}
def post(_=None): httpx2.post(URL, json=BODY)
class Pregel:
    def invoke(self):
        with ThreadPoolExecutor() as pool: list(pool.map(post, range(3)))
    async def ainvoke(self):
        async with httpx2.AsyncClient() as client:
            await asyncio.gather(*(client.post(URL, json=BODY) for _ in range(3)))
    def stream(self):
        for step in range(3):
            post()
            yield step
    async def astream(self):
        async with httpx2.AsyncClient() as client:
            for step in range(3):
                await client.post(URL, json=BODY)
                yield step
class Outer(Pregel):
    def invoke(self):
        super().invoke(); return [*self.stream()]
"""

PROGRAM = """
import asyncio
from langgraph.pregel.main import Pregel, Outer, post
graph = Pregel()
async def both():
    async def steps():
        async for _ in graph.astream(): pass
    await asyncio.gather(graph.ainvoke(), graph.ainvoke(), steps(), steps())
graph.invoke()
for _ in graph.stream():
    post()
asyncio.run(both())
Outer().invoke()
"""

SERVER = """
import asyncio, os, sys, httpx2
from aiohttp import web
async def answer(request):
    async with httpx2.AsyncClient() as client:
        url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
        body = {"model": await request.text(), "messages": []}
        await asyncio.gather(*(client.post(url, json=body) for _ in range(3)))
    return web.Response()
app = web.Application()
app.router.add_post("/", answer)
web.run_app(app, port=int(sys.argv[1]), print=None)
"""


def runs(server: OpenAiLike) -> list[str | None]:
    return [headers.get(RUN_HEADER) for _, headers, _ in server.requests]


async def test_the_outermost_entry_is_a_run(tmp_path: Path) -> None:
    package = tmp_path / "langgraph" / "pregel"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()  # or the real one would be found first
    (package / "main.py").write_text(PREGEL)
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['TOO'] = 'yes'")
    base = {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}
    async with openai_like() as server:
        env = environment(base, server.url, "w", None)
        program = PROGRAM + "import os; assert os.environ['TOO'] == 'yes'"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=env)
        assert await process.wait() == 0
    counted = Counter(runs(server))
    # What a program calls between the steps of a generator is no part of it.
    assert counted.pop(None) == 3
    # invoke, stream, ainvoke and astream twice, and what a subclass inherits twice.
    assert sorted(counted.values()) == [3] * 8
    marked = [headers for _, headers, _ in server.requests if RUN_HEADER in headers]
    assert {(h[OPENED_HEADER], h[WORKFLOW_HEADER]) for h in marked} == {("auto", "w")}
    assert {path for path, _, _ in server.requests} == {"/w/w/v1/chat/completions"}


@pytest.mark.slow
async def test_each_request_to_a_traced_server_is_a_run(tmp_path: Path) -> None:
    port = free_port()
    async with openai_like() as llm:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scepsy", "trace", "--auto", "--workflow", "w", "--json",
            "--out", str(tmp_path / "t"), "--upstream", llm.url,
            "--", sys.executable, "-c", SERVER, str(port),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await _posts(f"http://127.0.0.1:{port}", 6)
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert b'"runs":6' in out.replace(b" ", b"")
    calls = [call for trace in read_traces(tmp_path / "t").traces for call in trace.calls]
    assert len(calls) == 18
    assert {(call.layer, call.confidence) for call in calls} == {("auto", 0.9)}
    assert len({(call.llm, call.run) for call in calls}) == 6  # each request asked for its own LLM


async def _posts(url: str, count: int) -> None:
    async with aiohttp.ClientSession() as session:

        async def one(number: int) -> None:
            while True:
                try:
                    async with session.post(url, data=f"q{number}") as response:
                        assert response.status == 200
                        return
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.1)

        await asyncio.gather(*map(one, range(count)))
