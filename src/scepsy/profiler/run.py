"""Runs profiling jobs side by side, as many as the cluster has GPUs for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from scepsy.core.profile import Curve, Profile
from scepsy.curves.jobs import Job
from scepsy.curves.rounds import Round, RoundSpec, typical_calls
from scepsy.engines import engine_for
from scepsy.engines.process import free_port, start, stop
from scepsy.errors import ScepsyError, first_of
from scepsy.profiler.curves import curves
from scepsy.profiler.replay.send import Replayer
from scepsy.profiler.round_log import RoundLog
from scepsy.profiler.setup import (
    DONE,
    ProfileSetup,
    gpus_of_one_node,
    gpus_over_all_nodes,
)
from scepsy.profiler.sweep.next_round import left_of, next_step

_ANSWER_TIMEOUT = 120.0
"""Seconds that an engine may take for the answer to one replayed call."""


@dataclass(slots=True)
class GpuPool:
    """Lends GPUs by their indices. A job waits until enough of them are free."""

    free: set[int]
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def take(self, gpus: int) -> AsyncGenerator[tuple[int, ...]]:
        """Lends this many GPUs for the duration of the block."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.free) >= gpus)
            taken = tuple(sorted(self.free)[:gpus])
            self.free.difference_update(taken)
        try:
            yield taken
        finally:
            async with self.changed:
                self.free.update(taken)
                self.changed.notify_all()


async def profile(
    jobs: Sequence[Job], setup: ProfileSetup, log: RoundLog, *, parallel: int | None = None
) -> Profile:
    """Measures the curves of every job, with at most `parallel` engines at once.

    Emulated engines may use the GPUs of the whole cluster. Real engines may use those of one node,
    because this machine is taken to be a node of the cluster. Rounds in `log` are not measured
    again.

    Raises:
        EngineFailed, Unreachable, PortInUse: an engine did not start, refused the replay or died.
    """
    cluster = setup.cluster
    emulated = all(job.llm.engine == "emulated" for job in jobs)
    pool = GpuPool(gpus_over_all_nodes(cluster) if emulated else gpus_of_one_node(cluster))
    slots = asyncio.Semaphore(parallel or len(jobs) or 1)

    async def one(job: Job) -> _Sweep:
        async with slots, pool.take(job.tp) as gpus:
            sweep = _Sweep(job, setup, log, gpus)
            await sweep.measure()
            return sweep

    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(job)) for job in jobs]
    except* ScepsyError as failures:
        raise first_of(failures) from None
    # Not before all are measured: the simulations would take processor time from the engines.
    return Profile(curves=tuple(curve for task in running for curve in task.result().curves()))


class _Sweep:
    """Measures one job, round by round."""

    def __init__(self, job: Job, setup: ProfileSetup, log: RoundLog, gpus: tuple[int, ...]) -> None:
        self._gpus = gpus
        self._job, self._setup, self._log = job, setup, log
        self._settings = setup.settings.times(job.effort)
        self._stream = setup.stream(job)
        self._typical = typical_calls(self._stream)
        self._engine = engine_for(job.llm.engine)
        self._template = setup.curve_template(job, self._engine)
        self._key = setup.key(job, self._template)

    async def measure(self) -> None:
        """Measures what is missing. Starts no engine if nothing is missing."""
        if self._next() is not None:
            await self._measure()
        self._setup.on_progress(self._job, DONE, 0.0)

    def curves(self) -> list[Curve]:
        """The curves, once all has been measured."""
        model_of, seed = self._setup.model_of(self._job), self._setup.options.seed
        return curves(self._template, self._stream, self._rounds, self._settings, model_of, seed)

    @property
    def _rounds(self) -> list[Round]:
        return self._log.rounds(self._key)

    def _next(self) -> RoundSpec | None:
        return next_step(self._rounds, self._typical, self._settings)

    async def _measure(self) -> None:
        job, setup = self._job, self._setup
        launch = self._engine.launch(
            job.llm, setup.resources(job, self._gpus), port=free_port(), options=setup.options
        )
        name = f"{job.llm.name}-tp{job.tp}-{job.gpu_share:g}"
        setup.on_progress(job, "starting", left_of(self._rounds, self._settings))
        process = await start(launch, log_path=setup.logs / f"{name}.log", name=name)
        try:
            # A server may close a kept connection just as it is used (llama.cpp does).
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            timeout = aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT)
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                await self._play_all(session, process.url)
        finally:
            await stop(process)

    async def _play_all(self, session: aiohttp.ClientSession, url: str) -> None:
        replayer = Replayer(
            session=session,
            url=url,
            stream=self._stream,
            outstanding=2 * self._job.llm.max_sequences,
            max_rate=self._settings.max_rate,
            gaps=self._settings.gaps,
            seed=self._key,
        )
        # The first burst meets cold caches and code that has not run yet, so it is not recorded.
        await replayer.play(RoundSpec("idle", 0.0, -1, 0.0))
        while (step := self._next()) is not None:
            left = left_of(self._rounds, self._settings)
            self._setup.on_progress(self._job, str(step), left)
            self._log.append(await self._play(replayer, step))

    async def _play(self, replayer: Replayer, step: RoundSpec) -> Round:
        clock = asyncio.get_running_loop().time
        begin = clock()
        samples = await replayer.play(step)
        return Round(
            key=self._key,
            kind=step.kind,
            rate=step.rate,
            number=step.number,
            seconds=step.seconds,
            wall=clock() - begin,
            samples=tuple(samples),
        )
