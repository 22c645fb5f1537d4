"""Runs profiling jobs side by side, as many as the cluster has GPUs for."""

from __future__ import annotations

import asyncio
import platform
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import aiohttp

from scepsy.core.cluster import Cluster
from scepsy.core.profile import Curve, Profile, ProfilePoint
from scepsy.core.trace import Trace
from scepsy.engines import EngineOptions, engine_for
from scepsy.engines.process import free_port, start, stop
from scepsy.errors import EngineFailed
from scepsy.profiler.bursts import Burst, bursts_of, endless, template_blocks
from scepsy.profiler.jobs import Job
from scepsy.profiler.replay import Replayer
from scepsy.profiler.sweep import Sample, SweepSettings, point, rates

OnProgress = Callable[[Job, str], None]


@dataclass(slots=True)
class GpuPool:
    """Counts free GPUs; a job waits until there are enough for it."""

    free: int
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def take(self, gpus: int) -> AsyncGenerator[None]:
        async with self.changed:
            await self.changed.wait_for(lambda: self.free >= gpus)
            self.free -= gpus
        try:
            yield
        finally:
            async with self.changed:
                self.free += gpus
                self.changed.notify_all()


@dataclass(frozen=True, slots=True)
class Bench:
    """What every job needs."""

    traces: Sequence[Trace]
    cluster: Cluster
    settings: SweepSettings
    options: EngineOptions
    logs: Path
    on_progress: OnProgress


async def profile(jobs: Sequence[Job], bench: Bench, *, parallel: int | None = None) -> Profile:
    """Measures every job's curves; at most `parallel` engines at once, and never more GPUs than the
    cluster has.

    Raises:
        EngineFailed: an engine did not start, or refused the replay.
    """
    pool = GpuPool(bench.cluster.gpus)
    seats = asyncio.Semaphore(parallel or len(jobs) or 1)

    async def one(job: Job) -> list[Curve]:
        async with seats, pool.take(job.tp):
            return await _measure(job, bench)

    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(job)) for job in jobs]
    except* EngineFailed as failures:
        raise failures.exceptions[0] from None
    return Profile(curves=tuple(curve for task in running for curve in task.result()))


async def _measure(job: Job, bench: Bench) -> list[Curve]:
    engine = engine_for(job.llm.engine)
    launch = engine.launch(
        job.llm,
        tp=job.tp,
        gpu_share=job.gpu_share,
        memory_share=job.memory_share,
        gpu_type=bench.cluster.nodes[0].gpu_type,
        gpu_memory=bench.cluster.gpu_memory,
        port=free_port(),
        options=bench.options,
    )
    name = f"{job.llm.name}-tp{job.tp}-{job.gpu_share:g}"
    process = await start(launch, log_path=bench.logs / f"{name}.log", name=name)
    try:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            return [
                await _curve(job, workflow, bench, session, process.url)
                for workflow in job.workflows
            ]
    finally:
        await stop(process)


async def _curve(
    job: Job, workflow: str, bench: Bench, session: aiohttp.ClientSession, url: str
) -> Curve:
    """Saturation first, then the rates below it."""
    settings = bench.settings
    mine = [trace for trace in bench.traces if trace.workflow == workflow]
    runs = bursts_of(mine, job.llm.name)
    rng = random.Random(f"{job}/{workflow}")
    replayer = Replayer(session, url, endless(runs, rng), template_blocks(runs))
    typical = _typical(runs)
    bench.on_progress(job, f"{workflow}: saturation")
    top = await _saturation(replayer, job, settings)
    points: list[ProfilePoint] = []
    for rate in rates(top, settings):
        bench.on_progress(job, f"{workflow}: {rate:.3g} calls/s")
        samples = await replayer.open_loop(rate, settings.seconds, rng)
        kept = [sample for sample in samples if sample.sent >= settings.warmup * settings.seconds]
        if kept:
            points.append(point(rate, kept, typical))
    if not points:
        raise EngineFailed(
            f"{job}: no rate could be measured in {settings.seconds:g} s; allow more"
        )
    bench.on_progress(job, f"{workflow}: done")
    return Curve(
        llm=job.llm.name,
        workflow=workflow,
        tp=job.tp,
        gpu_share=job.gpu_share,
        points=tuple(points),
        max_throughput=top,
        engine=f"{job.llm.engine} {engine_for(job.llm.engine).version()}",
        gpu_type=bench.cluster.nodes[0].gpu_type,
        machine=platform.platform(terse=True),
    )


async def _saturation(replayer: Replayer, job: Job, settings: SweepSettings) -> float:
    """Calls per second that come back while twice the largest batch is always open, after the first
    fill.
    """
    seconds = settings.saturation_seconds
    samples = await replayer.closed_loop(2 * job.llm.max_sequences, seconds, settings.max_rate)
    window = (settings.warmup * seconds, seconds)
    ends = [sample.sent + sample.latency for sample in samples]
    done = sum(1 for end in ends if window[0] <= end < window[1])
    if not done:
        raise EngineFailed(f"{job}: no call finished in {seconds:g} s at saturation; allow more")
    return done / (window[1] - window[0])


def _typical(runs: Sequence[Sequence[Burst]]) -> Sample:
    """A call of mean length; its times mean nothing."""
    calls = [call for run in runs for burst in run for call in burst.calls]
    return Sample(
        sent=0.0,
        latency=0.0,
        output_tokens=round(fmean(call.output_tokens or 0 for call in calls)),
        prompt_tokens=round(fmean(call.prompt_tokens or 0 for call in calls)),
    )
