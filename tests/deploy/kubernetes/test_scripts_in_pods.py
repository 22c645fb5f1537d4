"""The two scripts that run in pods, against real (emulated) engines: waiting for one's turn, and
finishing calls before the end.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from rendered_plans import plan_of, rendered, replica

from scepsy.core.llm import LlmSpec
from scepsy.deploy.kubernetes.objects import RenderOptions, drain, start_order
from scepsy.engines import (
    EngineOptions,
    EngineProcess,
    EngineResources,
    engine_for,
    free_port,
    start,
    stop,
)

LLM = LlmSpec(name="judge", parameters=30e9, layers=8, hidden=512, heads=8, kv_heads=8, head_dim=64)
LIMIT = 120.0
"""Seconds after which a script hangs."""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncGenerator[EngineProcess, None]:
    process = await start_engine(free_port(), tmp_path)
    yield process
    await stop(process)


async def start_engine(port: int, folder: Path) -> EngineProcess:
    launch = engine_for("emulated").launch(
        LLM,
        EngineResources(gpu_type="h100", gpu_memory=80e9),
        port=port,
        options=EngineOptions(exit_with_parent=True),
    )
    return await start(launch, log_path=folder / "engine.log", name="judge")


async def script(text: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", text, *arguments)


async def ended(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(LIMIT):
        return await process.wait()


async def test_an_engine_waits_until_those_before_it_are_ready(tmp_path: Path) -> None:
    first, second = (f"http://127.0.0.1:{free_port()}/health" for _ in range(2))
    (tmp_path / "engines").write_text(f"{first}\n{second}\nhttp://127.0.0.1:1/health\n")
    plan = plan_of(replica("judge-0", "n2", (0,), 0.5))
    container = start_order.container(plan.placement.replicas[0], "image", RenderOptions())
    text = container["command"][2].replace("/etc/scepsy/start-order", str(tmp_path))
    assert await ended(await script(text, first)) == 0  # nobody is before it
    waiting = await script(text, second)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting.wait(), 3)
    process = await start_engine(urlsplit(first).port or 0, tmp_path)
    try:
        assert await ended(waiting) == 0
    finally:
        await stop(process)


async def test_an_engine_ends_when_its_last_call_has(engine: EngineProcess) -> None:
    hook = drain.lifecycle(RenderOptions(grace=120))["lifecycle"]["preStop"]["exec"]["command"]
    text = hook[2].replace(":8000/", f":{urlsplit(engine.url).port}/")
    text = text.replace(f"time.sleep({drain.NOTICE})", "pass")
    assert str(drain.NOTICE) + ")" not in text.split("while")[0]
    body = {
        "model": "judge",
        "messages": [{"role": "user", "content": "Tell me of the sea."}],
        "max_tokens": 500,
        "ignore_eos": True,
    }
    async with aiohttp.ClientSession() as http:

        async def call() -> int:
            async with http.post(f"{engine.url}/v1/chat/completions", json=body) as answer:
                await answer.read()
                return answer.status

        assert await ended(await script(text, *hook[3:])) == 0  # no call: at once
        calling = asyncio.create_task(call())
        await asyncio.sleep(0.5)  # it takes seconds: 500 steps that read 60 GB
        waiting = await script(text, *hook[3:])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting.wait(), 1)
        assert await ended(waiting) == 0
        # The last token is counted as answered before the client has read it.
        assert await asyncio.wait_for(calling, 2) == 200


def test_a_short_grace_leaves_no_time_for_it() -> None:
    assert not drain.lifecycle(RenderOptions(grace=15))
    container = rendered(plan_of(replica("judge-0", "n1", (0,))), grace=300).replicas["judge-0"]
    (engine,) = container["spec"]["template"]["spec"]["containers"]
    assert engine["lifecycle"]["preStop"]["exec"]["command"][3] == "290"
