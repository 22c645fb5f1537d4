"""Where the calls go: two emulated engines, or engines that run already."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import envs
import msgspec

from scepsy.core.llm import LlmSpec
from scepsy.engines import EngineProcess, Launch, free_port, start, stop
from scepsy.gateway.config import Route

SPEED = 20.0


@dataclass(frozen=True, slots=True)
class Bench:
    """Where calls go on to, and the LLMs there."""

    routes: tuple[Route, ...]
    upstream: str | None
    writer: str
    critic: str


@asynccontextmanager
async def emulated() -> AsyncGenerator[Bench, None]:
    """Two emulated engines, `writer` and `critic`."""
    engines: list[EngineProcess] = []
    routes: list[Route] = []
    try:
        for name in ("writer", "critic"):
            spec = LlmSpec(
                name=name, parameters=4e9, layers=36, hidden=2560, kv_heads=8, head_dim=128
            )
            port = free_port()
            flags = ["--llm-json", msgspec.json.encode(spec).decode(), "--port", str(port)]
            flags += ["--time-scale", str(SPEED), "--exit-with-parent", str(os.getpid())]
            argv = (sys.executable, "-m", "scepsy.engines.emulated", *flags)
            launch = Launch(argv, f"http://127.0.0.1:{port}")
            log = envs.OUT / "engines" / f"{name}.log"
            engines.append(await start(launch, log_path=log, name=name))
            routes.append(Route(llm=name, replica=name, url=launch.url))
        yield Bench(tuple(routes), None, "writer", "critic")
    finally:
        for engine in engines:
            await stop(engine)


@asynccontextmanager
async def elsewhere(url: str, writer: str, critic: str) -> AsyncGenerator[Bench, None]:
    """Engines that run already."""
    yield Bench((), url, writer, critic)
