"""Starts a process on a free port, and tells whether one was started as it would be now."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.engines import EngineOptions, EngineProcess, Launch, free_port, start
from scepsy.errors import PortInUse


def recipe(llm: LlmSpec, cluster: Cluster, options: EngineOptions) -> str:
    """A digest of all that an engine is started with, its size and its port apart."""
    parts = (llm, cluster.nodes[0].gpu_type, cluster.gpu_memory, options)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


async def start_on_free_port(
    launch_on: Callable[[int], Launch],
    *,
    host: str,
    port: int = 0,
    log_path: Path,
    name: str,
    on_spawn: Callable[[int, int, str], None],
) -> EngineProcess:
    """Start `launch_on(port)`, where port 0 stands for one that is free; on another one where
    somebody was faster to take that.

    `on_spawn` is told pid, birth and URL as soon as there is a process, for either attempt.

    Raises:
        PortInUse: `port` is taken, or the second free one was too.
        EngineFailed: see `engines.start`.
    """

    async def attempt() -> EngineProcess:
        launch = launch_on(port or free_port(host))
        return await start(
            launch,
            log_path=log_path,
            name=name,
            on_spawn=lambda pid, born: on_spawn(pid, born, launch.url),
        )

    try:
        return await attempt()
    except PortInUse:
        if port:
            raise
        return await attempt()
