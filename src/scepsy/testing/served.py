"""Engines for tests: started before the first test of a class and stopped after the last."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import aiohttp
import pytest

from scepsy.core.llm import EngineKind, LlmKind, LlmSpec
from scepsy.engines import (
    Capabilities,
    EngineOptions,
    EngineProcess,
    EngineResources,
    Launch,
    engine_for,
    free_port,
    start,
    stop,
)


class ServedEngine(ABC):
    """Starts one engine for each kind of LLM that the tests of a class need."""

    kind: ClassVar[EngineKind]
    time_scale: ClassVar[float] = 10.0

    @classmethod
    @abstractmethod
    def llm(cls, kind: LlmKind, folder: Path) -> LlmSpec:
        """An LLM of that kind, with a context of at least 1,024 tokens and at least 4 sequences.
        Its files may be put into `folder`.
        """

    @classmethod
    def launch(cls, llm: LlmSpec, port: int) -> Launch:
        return engine_for(cls.kind).launch(
            llm,
            EngineResources(gpu_type="h100", gpu_memory=80e9),
            port=port,
            options=EngineOptions(time_scale=cls.time_scale, exit_with_parent=True),
        )

    @classmethod
    def capabilities(cls) -> Capabilities:
        return engine_for(cls.kind).capabilities

    @classmethod
    def needs(cls, capability: str) -> None:
        """Skips the test, with the reason, if the engine does not claim the capability."""
        if not getattr(cls.capabilities(), capability):
            pytest.skip(f"the {cls.kind} engine does not claim {capability}")

    @classmethod
    @contextmanager
    def serving(cls, kind: LlmKind, folder: Path) -> Generator[EngineProcess]:
        launch = cls.launch(cls.llm(kind, folder), free_port())
        process = asyncio.run(start(launch, log_path=folder / f"{kind}.log", name=kind))
        try:
            yield process
        finally:
            asyncio.run(stop(process))
        assert not process.alive

    @pytest.fixture(scope="class")
    @classmethod
    def generator(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
        with cls.serving("generate", tmp_path_factory.mktemp("generate")) as process:
            yield process

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
        cls.needs("embeddings")
        with cls.serving("embed", tmp_path_factory.mktemp("embed")) as process:
            yield process

    @pytest.fixture(scope="class")
    @classmethod
    def reranker(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
        cls.needs("rerank")
        with cls.serving("rerank", tmp_path_factory.mktemp("rerank")) as process:
            yield process

    @pytest.fixture
    async def http(self) -> AsyncGenerator[aiohttp.ClientSession, None]:
        # llama.cpp sometimes closes idle connections: use a fresh one for every request.
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield session
