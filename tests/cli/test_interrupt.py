"""Ctrl-C, as a terminal sends it to a command's process group."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from openai_like import openai_like
from scepsy.drive import DriveResult
from scepsy.store.files import read_record

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import asyncio

count = 0

async def run():
    global count
    count += 1
    number = count
    await asyncio.sleep(0.01)
    if number == {hangs_from}:
        with open({ready!r}, "w") as file:
            file.write("now")
    if number >= {hangs_from}:
        await asyncio.sleep(600)
"""


async def started(*arguments: object) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scepsy", *map(str, arguments),
        stdout=PIPE, stderr=PIPE, start_new_session=True, cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip


def filled(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


async def interrupted(process: Process, ready: Path) -> tuple[str, str]:
    """Sends Ctrl-C once `ready` holds something; what the command printed."""
    async with asyncio.timeout(90):
        while not filled(ready):
            assert process.returncode is None, await process.communicate()
            await asyncio.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        out, err = await process.communicate()
    assert process.returncode == 130, err.decode()
    assert b"Traceback" not in err
    return out.decode(), err.decode()


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [False, True])
async def test_drive_keeps_and_prints_what_was_measured(tmp_path: Path, as_json: bool) -> None:
    program, ready, out = tmp_path / "agent.py", tmp_path / "ready", tmp_path / "drive.json"
    program.write_text(PROGRAM.format(hangs_from=5, ready=str(ready)))
    async with openai_like() as server:
        process = await started(
            "drive", f"{program}:run", "--rate", 20, "--gateway", server.url, "--warmup", 0,
            "--duration", 300, "--out", out, *["--json"] * as_json,
        )  # fmt: skip
        printed, said = await interrupted(process, ready)
    result = read_record(out, DriveResult)
    (flow,) = result.workflows
    assert result.interrupted
    assert 0 < result.duration < 300
    assert flow.completed == 4
    assert flow.unfinished == flow.offered - 4 >= 1
    assert "interrupted after" in said
    assert "had not ended" in said
    if as_json:
        assert json.loads(printed)["workflows"][0]["completed"] == 4
    else:
        assert "Measured" in printed
        assert "agent" in printed


@pytest.mark.slow
async def test_drive_says_that_nothing_was_measured_yet(tmp_path: Path) -> None:
    program, ready = tmp_path / "agent.py", tmp_path / "ready"
    program.write_text(PROGRAM.format(hangs_from=1, ready=str(ready)))
    async with openai_like() as server:
        process = await started(
            "drive", f"{program}:run", "--rate", 20, "--gateway", server.url, "--warmup", 300,
        )  # fmt: skip
        _, said = await interrupted(process, ready)
    assert "interrupted before a measured run began: nothing was measured" in said


@pytest.mark.slow
async def test_profile_says_that_the_same_command_goes_on(tmp_path: Path) -> None:
    assets = ROOT / "tests" / "assets" / "v1"
    partial = tmp_path / "profile.json.partial.jsonl"
    process = await started(
        "profile", assets / "traces", "--cluster", ROOT / "examples" / "cluster.toml",
        "--llms", ROOT / "examples" / "llms.toml", "--shares", 1, "--parallel", 1,
        "--time-scale", 10, "--out", tmp_path / "profile.json",
    )  # fmt: skip
    _, said = await interrupted(process, partial)
    assert f"{partial}; the same command goes on from there" in said
