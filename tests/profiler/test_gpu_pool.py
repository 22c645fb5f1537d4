"""No GPU is lent to two jobs at once, and its memory is counted while an engine is measured."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from builders import call, trace
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.curves.jobs import jobs
from scepsy.engines import EngineOptions, gpu_board
from scepsy.engines.emulated.board import Board
from scepsy.errors import EngineFailed
from scepsy.profiler import ProfileSetup, RoundLog, SweepSettings, profile
from scepsy.profiler.run import GpuPool


async def test_each_gpu_has_one_job_at_a_time_and_all_come_back() -> None:
    pool, held, rng = GpuPool({0, 1, 2, 3}), set[int](), random.Random(0)

    async def job(gpus: int) -> None:
        async with pool.take(gpus) as taken:
            assert len(taken) == gpus
            assert not held & set(taken)
            held.update(taken)
            await asyncio.sleep(0)
            held.difference_update(taken)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(job(rng.choice((1, 2, 4))))
    assert pool.free == {0, 1, 2, 3}


LLM = LlmSpec(name="g", parameters=1e9, layers=4, hidden=512, kv_heads=4, head_dim=64, max_tp=1)
CLUSTER = Cluster(nodes=(Node(name="a", gpus=1), Node(name="b", gpus=2)))
TRACES = [trace(call("g", 0, 1))]


def setup(folder: Path) -> ProfileSetup:
    settings, options = SweepSettings(budget=5), EngineOptions(exit_with_parent=True)
    return ProfileSetup(TRACES, CLUSTER, settings, options, folder, folder, lambda *_: None)


def test_gpus_are_counted_over_all_nodes(tmp_path: Path) -> None:
    (job,) = jobs(TRACES, [LLM], CLUSTER, (1.0,))
    boards = setup(tmp_path).resources(job, (0, 2)).boards
    assert boards == (str(gpu_board(tmp_path, "a", 0)), str(gpu_board(tmp_path, "b", 1)))


async def test_an_engine_is_not_measured_on_a_gpu_whose_memory_another_holds(
    tmp_path: Path,
) -> None:
    Board(gpu_board(tmp_path, "a", 0)).hold(0.5, CLUSTER.gpu_memory)
    todo = jobs(TRACES, [LLM], CLUSTER, (1.0,))
    with (
        RoundLog(tmp_path / "rounds.jsonl") as log,
        pytest.raises(EngineFailed, match="Free memory on device a-0"),
    ):
        await profile(todo, setup(tmp_path), log)
