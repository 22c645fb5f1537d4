"""Runs profiling jobs side by side, as many as the cluster has GPUs for."""

from __future__ import annotations

import asyncio
import platform
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from scepsy.core.cluster import Cluster
from scepsy.core.profile import Curve, Profile
from scepsy.core.trace import Trace
from scepsy.engines import EngineOptions, Seat, engine_for
from scepsy.engines.process import free_port, start, stop
from scepsy.errors import EngineFailed, ScepsyError, first_of
from scepsy.profiler.bursts import Stream, bursts_of
from scepsy.profiler.jobs import Job
from scepsy.profiler.replay import Replayer
from scepsy.profiler.sweep import Sample, SweepSettings, own_throughputs, point, typical

OnProgress = Callable[[Job, str], None]
DONE = "done"


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
    """What every job needs.

    `mix`: runs per second of each workflow, relative; 1 where not named.
    """

    traces: Sequence[Trace]
    cluster: Cluster
    settings: SweepSettings
    options: EngineOptions
    logs: Path
    on_progress: OnProgress
    mix: Mapping[str, float] = field(default_factory=dict[str, float])


async def profile(jobs: Sequence[Job], bench: Bench, *, parallel: int | None = None) -> Profile:
    """Measures every job's curves; at most `parallel` engines at once, and never more GPUs than the
    cluster has.

    Raises:
        EngineFailed, Unreachable, PortInUse: an engine did not start, refused the replay or died.
    """
    pool = GpuPool(bench.cluster.gpus)
    seats = asyncio.Semaphore(parallel or len(jobs) or 1)

    async def one(job: Job) -> list[Curve]:
        async with seats, pool.take(job.tp):
            return await _measure(job, bench)

    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(job)) for job in jobs]
    except* ScepsyError as failures:
        raise first_of(failures) from None
    return Profile(curves=tuple(curve for task in running for curve in task.result()))


async def _measure(job: Job, bench: Bench) -> list[Curve]:
    engine = engine_for(job.llm.engine)
    seat = Seat(
        tp=job.tp,
        gpu_share=job.gpu_share,
        memory_share=job.memory_share,
        gpu_type=bench.cluster.nodes[0].gpu_type,
        gpu_memory=bench.cluster.gpu_memory,
    )
    launch = engine.launch(job.llm, seat, port=free_port(), options=bench.options)
    name = f"{job.llm.name}-tp{job.tp}-{job.gpu_share:g}"
    process = await start(launch, log_path=bench.logs / f"{name}.log", name=name)
    try:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            return await _curves(job, bench, session, process.url)
    finally:
        await stop(process)


async def _curves(job: Job, bench: Bench, session: aiohttp.ClientSession, url: str) -> list[Curve]:
    """The idle engine, saturation, then the rates between; one curve for each workflow."""
    settings, rng = bench.settings.times(job.effort), random.Random(str(job))
    stream = Stream(
        runs={
            name: bursts_of([t for t in bench.traces if t.workflow == name], job.llm.name)
            for name in job.workflows
        },
        rates={name: bench.mix.get(name, 1.0) for name in job.workflows},
    )
    replayer = Replayer(session, url, stream.bursts(rng), stream.burst_size, stream.templates())
    bench.on_progress(job, "idle")
    measured = {0.0: await replayer.idle(settings.idle_seconds)}
    bench.on_progress(job, "saturation")
    total = await _saturation(replayer, job, bench.settings)
    for utilisation in settings.utilisations:
        bench.on_progress(job, f"{utilisation * total:.3g} calls/s")
        samples = await replayer.open_loop(utilisation * total, settings.seconds, rng)
        offered = len(samples) / settings.seconds / total
        early = settings.warmup * settings.seconds
        measured[offered] = [sample for sample in samples if sample.sent >= early]
    bench.on_progress(job, DONE)
    return _assemble(job, bench, stream, total, measured)


def _assemble(
    job: Job,
    bench: Bench,
    stream: Stream,
    total: float,
    measured: Mapping[float, Sequence[Sample]],
) -> list[Curve]:
    of = {
        name: {u: [s for s in samples if s.workflow == name] for u, samples in measured.items()}
        for name in job.workflows
    }
    for name, points in of.items():
        if not any(points.values()):
            raise EngineFailed(f"{job}: no call of {name!r} was measured; allow more seconds")
    usual = {name: typical(runs) for name, runs in stream.runs.items()}
    cost = {name: one.duration for name, one in usual.items()}
    top = own_throughputs(total, stream.calls, cost)
    engine = engine_for(job.llm.engine)
    return [
        Curve(
            llm=job.llm.name,
            workflow=name,
            tp=job.tp,
            gpu_share=job.gpu_share,
            points=tuple(
                point(u * top[name], samples, usual[name])
                for u, samples in sorted(points.items())
                if samples
            ),
            max_throughput=top[name],
            mix=dict(stream.rates),
            time_scale=bench.options.time_scale,
            engine=f"{engine.kind} {engine.version()}",
            gpu_type=bench.cluster.nodes[0].gpu_type,
            machine=platform.platform(terse=True),
        )
        for name, points in of.items()
    ]


async def _saturation(replayer: Replayer, job: Job, settings: SweepSettings) -> float:
    """Calls per second that come back while twice the largest batch is open, once filled."""
    seconds = settings.saturation_seconds
    samples = await replayer.closed_loop(2 * job.llm.max_sequences, seconds, settings.max_rate)
    window = (settings.warmup * seconds, seconds)
    ends = [sample.sent + sample.latency for sample in samples]
    done = sum(1 for end in ends if window[0] <= end < window[1])
    if not done:
        raise EngineFailed(f"{job}: no call finished in {seconds:g} s at saturation; allow more")
    return done / (window[1] - window[0])
