"""Emulated engines as processes, for tests that kill them, stop them, or read their counters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from scepsy.core.llm import LlmSpec
from scepsy.engines import (
    EngineOptions,
    EngineProcess,
    EngineResources,
    engine_for,
    free_port,
    start,
    stop,
)
from scepsy.gateway.config import Route

SPEC = LlmSpec(name="m", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128)


async def engine(name: str, folder: Path, *, port: int = 0, speed: float = 1.0) -> EngineProcess:
    """An emulated engine that serves `m`, `speed` times as fast as an H100. The caller stops it; it
    ends with this process in any case.
    """
    launch = engine_for("emulated").launch(
        SPEC,
        EngineResources(gpu_type="h100", gpu_memory=80e9),
        port=port or free_port(),
        options=EngineOptions(time_scale=speed, exit_with_parent=True),
    )
    return await start(launch, log_path=folder / f"{name}.log", name=name)


@asynccontextmanager
async def fleet(
    folder: Path, count: int, *, speed: float = 1.0
) -> AsyncGenerator[list[EngineProcess], None]:
    """Engines m-0, m-1 and so on."""
    begun = [engine(f"m-{i}", folder, speed=speed) for i in range(count)]
    started = await asyncio.gather(*begun, return_exceptions=True)
    engines = [one for one in started if isinstance(one, EngineProcess)]
    try:
        for one in started:
            if isinstance(one, BaseException):
                raise one
        yield engines
    finally:
        await asyncio.gather(*(stop(one, grace=1.0) for one in engines))


def routes_to(engines: list[EngineProcess]) -> tuple[Route, ...]:
    """Routes of equal capacity."""
    return tuple(Route(llm="m", replica=one.name, url=one.url) for one in engines)


async def counter(http: aiohttp.ClientSession, engine_url: str, name: str) -> float:
    """The value of one of the engine's metrics, such as `vllm:num_requests_running`."""
    async with http.get(engine_url + "/metrics") as response:
        found = re.search(rf"^{name}{{.*}} (\S+)$", await response.text(), re.MULTILINE)
    assert found is not None, name
    return float(found[1])
