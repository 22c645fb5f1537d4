"""The behaviour that every engine must have: tests that each adapter's test class inherits.

They start real processes. A test of a capability that the engine does not claim is skipped, with
the reason.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import pytest

from scepsy.core.llm import LlmSpec
from scepsy.engines import free_port, start, stop
from scepsy.errors import EngineFailed, PortInUse
from scepsy.testing.api_contract import ApiContract


class EngineContract(ApiContract):
    """Tests of an engine's process. A subclass defines `kind`, `llm`, `broken` and `load_error`."""

    async def test_a_killed_engine_is_reported_dead(self, tmp_path: Path) -> None:
        launch = self.launch(self.llm("generate", tmp_path), free_port())
        process = await start(launch, log_path=tmp_path / "log", name="victim")
        assert process.alive
        os.kill(process.pid, signal.SIGKILL)
        async with asyncio.timeout(10):
            while process.alive:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await stop(process)

    async def test_a_failed_start_quotes_the_end_of_the_log(self, tmp_path: Path) -> None:
        launch = self.launch(self.broken(tmp_path), free_port())
        with pytest.raises(EngineFailed, match=self.load_error):
            await start(launch, log_path=tmp_path / "log", name="broken")

    async def test_a_port_in_use_is_reported(self, tmp_path: Path) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            launch = self.launch(self.llm("generate", tmp_path), other.getsockname()[1])
            with pytest.raises(PortInUse, match=str(other.getsockname()[1])):
                await start(launch, log_path=tmp_path / "log", name="second")

    load_error: ClassVar[str]
    """A pattern of the message with which the engine fails to load `broken`."""

    @classmethod
    @abstractmethod
    def broken(cls, folder: Path) -> LlmSpec:
        """An LLM that the engine cannot load."""
