"""A drive's runs in the traces of a gateway that records."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from openai_like import openai_like
from scepsy.core.trace import RunMark
from scepsy.drive.marks import post_marks
from scepsy.errors import Unreachable
from scepsy.gateway.config import GatewayConfig
from scepsy.gateway.server import running
from scepsy.store.trace_files import files_of

PROGRAM = """
from openai import AsyncOpenAI
client = AsyncOpenAI()
count = 0
async def run():
    global count
    count += 1
    await client.chat.completions.create(model="m", messages=[])
    if count == 2:
        raise ValueError("second")
"""


@pytest.mark.slow
async def test_a_recording_gateway_learns_which_driven_runs_failed(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(PROGRAM)
    async with openai_like() as llm:
        config = GatewayConfig(port=0, upstream=llm.url, traces=str(tmp_path / "t"))
        async with running(config) as gateway:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "scepsy", "drive", "agent.py:run", "--rate", "4",
                "--duration", "1", "--warmup", "0", "--gateway", f"{gateway.url}/v1",
                cwd=tmp_path,
            )  # fmt: skip
            assert await process.wait() == 8
    (file,) = files_of(tmp_path / "t", "runs")
    marks = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(marks) >= 4
    assert [mark["error"] for mark in marks].count("ValueError: second") == 1


async def test_who_does_not_record_is_left_alone() -> None:
    mark = RunMark(run="r", workflow="w", start=0.0, end=1.0)
    async with openai_like() as llm, running(GatewayConfig(port=0, upstream=llm.url)) as gateway:
        assert not await post_marks(f"{gateway.url}/v1", [mark])
    with pytest.raises(Unreachable):
        await post_marks("http://127.0.0.1:1", [mark])
