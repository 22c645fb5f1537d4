"""Starts a process on a free port, and computes a digest of how an engine is started."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.deploy.local.logs import rotate
from scepsy.engines import EngineOptions, EngineProcess, Launch, free_port, start
from scepsy.errors import PortInUse


def launch_digest(llm: LlmSpec, cluster: Cluster, options: EngineOptions) -> str:
    """A digest of everything that an engine is started with, except for its size and its port. A
    running engine whose digest differs is replaced by the next deployment.
    """
    parts = (llm, cluster.nodes[0].gpu_type, cluster.gpu_memory, options)
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


async def start_on_free_port(
    launch_on: Callable[[int], Launch],
    *,
    host: str,
    port: int = 0,
    log_path: Path,
    name: str,
    marked: Mapping[str, str],
    on_spawn: Callable[[int, int, str], None],
) -> EngineProcess:
    """Starts `launch_on(port)`. For port 0 a free port is chosen; if another process takes that
    port before ours does, a second one is tried.

    The earlier logs at `log_path` are kept under other names. `marked` is added to the environment.
    `on_spawn` is called with pid, birth and URL as soon as there is a process, for each attempt.

    Raises:
        PortInUse: `port` is taken, or the second free port was taken too. EngineFailed: see
        `engines.start`.
    """

    async def attempt() -> EngineProcess:
        launch = launch_on(port or free_port(host))
        launch = replace(launch, env={**launch.env, **marked})
        rotate(log_path)
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
