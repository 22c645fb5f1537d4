"""Real vLLM on a Ray cluster, on a CPU. Its start takes minutes, so this runs only by request."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import time
from pathlib import Path

import pytest
from ray_site import eventually

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.deploy.ray.backend import RayBackend
from scepsy.deploy.ray.connection import disconnect
from scepsy.engines.tiny import write_tiny_folder
from scepsy.testing.callers import call
from scepsy.testing.deploy_plans import plan_of
from scepsy.testing.machines import why_impossible
from scepsy.testing.ray_cluster import RayCluster

pytestmark = pytest.mark.vllm

START = 900.0
"""Seconds that an engine may take to start on a machine with much other work."""


async def test_an_engine_that_is_killed_comes_back_and_gets_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: make setup-ray")
    if (reason := why_impossible()) is not None:
        pytest.skip(f"machines cannot be made here: {reason}")
    write_tiny_folder(tmp_path / "tiny")
    llm = LlmSpec(
        name="m",
        engine="vllm",
        parameters=3.3e6,
        bytes_per_parameter=4,
        layers=4,
        hidden=256,
        kv_heads=2,
        head_dim=64,
        max_context=4096,
        max_sequences=16,
        max_tp=1,
        min_kv_tokens=8192,
        model_path=str(tmp_path / "tiny"),
    )
    cluster = Cluster(nodes=(Node(name="w1", gpus=1, gpu_type="cpu"),), gpu_memory=2e9)
    with RayCluster(cluster) as machines:
        for name, value in machines.env.items():
            monkeypatch.setitem(os.environ, name, value)
        backend = RayBackend(machines.address)
        try:
            begun = time.monotonic()
            done = await backend.apply(plan_of(cluster, ("m", ["w1/0"], 1.0), llms=(llm,)))
            assert await call(done.url, "m", 16) is None
            print(f"vLLM answers after {time.monotonic() - begun:.0f} s")  # noqa: T201
            (before,) = (await backend.status()).replicas
            port = before.url.rpartition(":")[2]
            begun = time.monotonic()
            for pid in machines["w1"].pids(f"--port {port}"):
                os.kill(pid, signal.SIGKILL)

            async def again() -> bool:
                (one,) = (await backend.status()).replicas
                return one.state == "ready" and one.restarts == 1

            await eventually(again, START)
            print(f"vLLM is ready again after {time.monotonic() - begun:.0f} s")  # noqa: T201
            (after,) = (await backend.status()).replicas

            async def answered() -> bool:
                return await call(done.url, "m", 16) is None

            async with asyncio.timeout(60):
                await eventually(answered)
            print(f"ports: {before.url} and then {after.url}")  # noqa: T201
            await backend.down(grace=10)
            assert not machines["w1"].pids("vllm")
        finally:
            disconnect()
