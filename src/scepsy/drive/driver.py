"""Drives workflows open-loop in this process: runs start when they are due, whatever became of the
earlier ones.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from scepsy.core.trace import RunMark
from scepsy.drive.arrivals import RunArrival, schedule
from scepsy.drive.result import DriveResult, RunOutcome
from scepsy.drive.run import Function, run_once
from scepsy.drive.statistics import measure
from scepsy.errors import BadInput
from scepsy.marking import check_name, new_run


@dataclass(frozen=True, slots=True)
class Workload:
    """Runs of `function` as `workflow`, `rate` per second on average.

    Each takes the next of `inputs`: a mapping gives keyword arguments, anything else the only
    argument; with no inputs, runs take none.
    """

    workflow: str
    function: Function
    rate: float
    inputs: Sequence[object] = ()


@dataclass(frozen=True, slots=True)
class DriveProgress:
    """How far a drive has come: seconds since it began, and until its measured window ends; runs of
    all workloads, warm-up and tail included.
    """

    elapsed: float
    total: float
    running: int
    completed: int
    failed: int


async def drive(
    workloads: Sequence[Workload],
    *,
    duration: float,
    warmup: float = 0.0,
    seed: int = 0,
    timeout: float = 300.0,  # noqa: ASYNC109 - of each run, not of this call
    on_progress: Callable[[DriveProgress], None] | None = None,
    on_run: Callable[[RunMark], None] | None = None,
) -> DriveResult:
    """Runs all workloads at once, each run marked as one of its workflow, and measures the runs
    that arrive in the `duration` seconds after `warmup`. Calls `on_progress` when a run ends, and
    `on_run` with when it began and ended (Unix seconds), a cancelled one's end included.

    Arrivals go on at the same rate until the last measured run has ended, so that it ends under
    full load; these later runs are not measured, and are cancelled then. A run that raises, or
    takes longer than `timeout`, has failed; so all of this ends at the latest `timeout` after the
    window. Latency counts from when a run was due. Cancelling this cancels every run.

    Raises:
        BadInput: a rate and duration that give no run, or a workflow named twice.
    """
    _check(workloads, duration, warmup)
    clock = asyncio.get_running_loop().time
    begin = clock()

    def report() -> None:
        if on_progress is not None:
            on_progress(_progress(loads, clock() - begin, warmup + duration))

    loads = [_Load(load, begin + warmup, timeout, report, on_run) for load in workloads]
    async with asyncio.TaskGroup() as tasks:
        feeders = [
            tasks.create_task(load.feed(_arrivals(load.workload, warmup, duration, seed), tasks))
            for load in loads
        ]
        for load in loads:
            await load.wait(round(load.workload.rate * duration))
        for task in [*feeders, *(run for load in loads for run in load.open)]:
            task.cancel()
    return DriveResult(
        workflows=tuple(
            measure(load.workload.workflow, load.outcomes, duration, load.earlier_ends)
            for load in loads
        ),
        duration=duration,
        warmup=warmup,
        seed=seed,
        lag=fmean(lag for load in loads for lag in load.lags),
    )


@dataclass(slots=True)
class _Load:
    """The runs of one workload. `window` is when measuring begins, on the loop's clock."""

    workload: Workload
    window: float
    timeout: float
    report: Callable[[], None]
    mark: Callable[[RunMark], None] | None
    completed: int = 0
    failed: int = 0
    open: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    outcomes: list[RunOutcome] = field(default_factory=list[RunOutcome])
    lags: list[float] = field(default_factory=list[float])
    earlier_ends: list[float] = field(default_factory=list[float])
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def feed(self, arrivals: Iterator[RunArrival], tasks: asyncio.TaskGroup) -> None:
        """Starts each run when it is due; does not end by itself."""
        clock = asyncio.get_running_loop().time
        for arrival in arrivals:
            await asyncio.sleep(max(0.0, self.window + arrival.time - clock()))
            task = tasks.create_task(self._run(arrival))
            self.open.add(task)
            task.add_done_callback(self.open.discard)

    async def wait(self, runs: int) -> None:
        """Until so many measured runs have ended."""
        while len(self.outcomes) < runs:
            self._ended.clear()
            await self._ended.wait()

    async def _run(self, arrival: RunArrival) -> None:
        clock = asyncio.get_running_loop().time
        due = self.window + arrival.time
        lag = clock() - due
        load = self.workload
        run, start, error = new_run(), time.time(), "cancelled: the drive ended before it"
        try:
            error = await run_once(load.workflow, run, load.function, arrival.inputs, self.timeout)
        finally:
            self._note(run, start, error)
        if error is None:
            self.completed += 1
        else:
            self.failed += 1
        if error is None and arrival.time < 0:
            self.earlier_ends.append(clock() - self.window)
        if arrival.measured:
            self.lags.append(lag)
            latency = clock() - due
            outcome = RunOutcome(arrival=arrival.time, latency=latency, run=run, error=error)
            self.outcomes.append(outcome)
            self._ended.set()
        self.report()

    def _note(self, run: str, start: float, error: str | None) -> None:
        if self.mark is not None:
            end = max(start, time.time())
            self.mark(
                RunMark(
                    run=run,
                    workflow=self.workload.workflow,
                    start=start,
                    end=end,
                    ok=error is None,
                    error=error,
                )
            )


def _arrivals(load: Workload, warmup: float, duration: float, seed: int) -> Iterator[RunArrival]:
    rng = random.Random(f"{seed}/{load.workflow}")
    return schedule(load.rate, warmup, duration, load.inputs, rng)


def _progress(loads: Sequence[_Load], elapsed: float, total: float) -> DriveProgress:
    return DriveProgress(
        elapsed=elapsed,
        total=total,
        running=sum(len(load.open) for load in loads),
        completed=sum(load.completed for load in loads),
        failed=sum(load.failed for load in loads),
    )


def _check(workloads: Sequence[Workload], duration: float, warmup: float) -> None:
    names = [check_name(load.workflow) for load in workloads]
    if not names:
        raise BadInput("there is no workflow to drive")
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadInput(f"workflow {', '.join(sorted(twice))} is driven more than once")
    if not 0 < duration < math.inf or not 0 <= warmup < math.inf:
        raise BadInput(f"cannot measure {duration:g} s after {warmup:g} s of warm-up")
    for load in workloads:
        if not 0 < load.rate < math.inf or round(load.rate * duration) < 1:
            raise BadInput(
                f"workflow {load.workflow}: {load.rate:g} runs per second for {duration:g} s give "
                "no run; drive it for longer"
            )
