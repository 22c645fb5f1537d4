"""Engines on one emulated GPU see what the others want, and forget who is gone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from scepsy.core.llm import LlmSpec
from scepsy.engines.emulated.board import Board
from scepsy.engines.emulated.pacer import Pacer
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.step_time import StepTimer
from scepsy.sim.engine.batch import EngineStep
from scepsy.sim.engine.continuous_batching import SimulatedEngine

LLM = LlmSpec(name="x", parameters=8e9, layers=32, hidden=4096, kv_heads=8, head_dim=128)

OTHER = (
    "import sys, pathlib\n"
    "from scepsy.engines.emulated.board import Board\n"
    "board = Board(pathlib.Path(sys.argv[1]))\n"
    "board.post(0.7, 600.0)\n"
    "print(board.others(), flush=True)\n"
    "sys.stdin.read()\n"
)


def test_demands_are_seen_by_the_others_until_they_run_out(tmp_path: Path) -> None:
    path = tmp_path / "boards" / "node-0"
    board = Board(path)
    board.post(0.4, 600.0)
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert float(other.stdout.readline()) == pytest.approx(0.4)
        assert board.others() == pytest.approx(0.7)
        board.post(0.4, -1.0)
        assert board.others() == pytest.approx(0.7)
        other.stdin.close()
    newcomer = Board(path)  # takes the place of the one that is gone
    assert board.others() == 0.0
    newcomer.post(0.2, 600.0)
    assert board.others() == pytest.approx(0.2)


def test_what_neighbours_read_slows_the_memory_bound_part_of_a_step(tmp_path: Path) -> None:
    ours, neighbour = Board(tmp_path / "gpu"), Board(tmp_path / "gpu")
    engine = SimulatedEngine(
        StepTimer(LLM, gpu_constants("h100"), gpu_share=0.5), kv_tokens=4096, max_sequences=4
    )
    pacer = Pacer(engine, boards=(ours,), bandwidth_kept=0.92)
    step = EngineStep(first=0.01, memory_bound=0.75)
    assert pacer._speed(step) == 1.0
    neighbour.post(0.69, 600.0)
    wanted = 0.75 * 0.92 + 0.69
    assert pacer._speed(step) == pytest.approx(1 / (1 + 0.75 * (wanted - 1)))
    assert neighbour.others() == pytest.approx(0.69)
    assert (
        pacer._speed(EngineStep(first=0.01, memory_bound=0.0)) == 1.0
    )  # compute is divided, not fought over


async def test_busy_time_counts_while_a_long_step_is_under_way() -> None:
    engine = SimulatedEngine(StepTimer(LLM, gpu_constants("h100")), kv_tokens=4096, max_sequences=4)
    pacer = Pacer(engine, time_scale=0.1)
    running = asyncio.create_task(pacer.run())
    call = asyncio.create_task(pacer.finish(8, 4000, ()))
    async with asyncio.timeout(30):
        while engine.counters.steps == 0 or pacer.busy_seconds == 0:  # noqa: ASYNC110
            await asyncio.sleep(0)
        steps, busy = engine.counters.steps, pacer.busy_seconds
        while pacer.busy_seconds == busy:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert engine.counters.steps == steps
    for task in (call, running):
        task.cancel()
    await asyncio.gather(call, running, return_exceptions=True)
