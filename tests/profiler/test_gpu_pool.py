"""No GPU is lent to two jobs at once."""

from __future__ import annotations

import asyncio
import random

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
