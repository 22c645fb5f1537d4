"""Real vLLM keeps the contract of engines, on CPUs, with tiny random LLMs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from scepsy.core.llm import LlmKind, LlmSpec
from scepsy.engines import (
    EngineOptions,
    EngineProcess,
    EngineResources,
    Launch,
    engine_for,
    free_port,
    start,
    stop,
)
from scepsy.engines.tiny import write_tiny_folder
from scepsy.engines.vllm import control
from scepsy.testing.bad_requests import BAD_REQUESTS, refusal
from scepsy.testing.engine_contract import EngineContract

pytestmark = [pytest.mark.vllm, pytest.mark.e2e]


class TestVllm(EngineContract):
    kind = "vllm"
    load_error = "missing"

    @classmethod
    def llm(cls, kind: LlmKind, folder: Path) -> LlmSpec:
        write_tiny_folder(folder / kind, kind=kind)
        # Random LLMs choose blanks for ever where JSON allows them.
        compact = '{"backend": "xgrammar", "disable_any_whitespace": true}'
        flags = ("--structured-outputs-config", compact, "--enable-sleep-mode")
        return LlmSpec(
            name=kind,
            engine="vllm",
            kind=kind,
            layers=4,
            kv_heads=2,
            head_dim=64,
            max_context=4096,
            max_sequences=16,
            model_path=str(folder / kind),
            flags=flags if kind == "generate" else (),
        )

    async def test_the_emulated_engine_refuses_alike(
        self, generator: EngineProcess, http: aiohttp.ClientSession, tmp_path: Path
    ) -> None:
        emulated = LlmSpec(name="generate", parameters=3e6, max_context=4096, max_sequences=16)
        launch = engine_for("emulated").launch(
            emulated,
            EngineResources(gpu_type="h100", gpu_memory=80e9),
            port=free_port(),
            options=EngineOptions(exit_with_parent=True),
        )
        ours = await start(launch, log_path=tmp_path / "log", name="emulated")
        try:
            differ = {}
            for name, case in BAD_REQUESTS.items():
                real = await refusal(http, generator.url, case)
                assert real["status"] >= 400, f"vLLM accepts {name}"
                other = await refusal(http, ours.url, case)
                if real != other:
                    differ[name] = (real, other)
        finally:
            await stop(ours)
        assert not differ

    async def test_its_load_is_told(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        idle = await control.load(http, generator.url)
        assert (idle.running, idle.waiting, idle.kv_usage) == (0, 0, 0)
        body = {"model": "generate", "prompt": "a", "max_tokens": 2000, "ignore_eos": True}
        url = f"{generator.url}/v1/completions"
        calls = [asyncio.create_task(http.post(url, json=body)) for _ in range(20)]
        async with asyncio.timeout(30):
            while (busy := await control.load(http, generator.url)).waiting == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert busy.running == 16
        assert busy.waiting == 4
        assert busy.kv_usage > 0
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert (await control.load(http, generator.url)).prefix_queries > idle.prefix_queries

    async def test_it_sleeps_and_wakes(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        await control.sleep(http, generator.url)
        assert await control.is_sleeping(http, generator.url)
        await control.wake(http, generator.url)
        assert not await control.is_sleeping(http, generator.url)

    @classmethod
    def broken(cls, folder: Path) -> LlmSpec:
        return LlmSpec(name="x", engine="vllm", model_path=str(folder / "missing"))

    @classmethod
    def launch(cls, llm: LlmSpec, port: int) -> Launch:
        return engine_for("vllm").launch(
            llm,
            EngineResources(gpu_type="cpu", gpu_memory=4e9, gpus=(0,)),
            port=port,
            options=EngineOptions(exit_with_parent=True),
        )
