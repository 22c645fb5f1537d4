"""Drives workflows open-loop in this process: a run starts when it is due, whether or not earlier
runs have ended.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from scepsy.core.trace import RunMark
from scepsy.drive.arrivals import RunArrival, schedule
from scepsy.drive.result import DriveResult
from scepsy.drive.workload import RunningWorkload, Workload
from scepsy.errors import BadInput
from scepsy.marking import check_name


@dataclass(frozen=True, slots=True)
class DriveProgress:
    """How far a drive has come.

    Attributes:
        elapsed: seconds since it began.
        total: seconds from its beginning to the end of its measured window.
        running, completed, failed: runs of all workloads, those of warm-up and tail included.
    """

    elapsed: float
    total: float
    running: int
    completed: int
    failed: int


class DriveInterrupted(asyncio.CancelledError):
    """A drive was cancelled. `result` holds what was measured until then; its latencies leave out
    the runs that were open (`WorkflowMeasurement.unfinished`).
    """

    def __init__(self, result: DriveResult) -> None:
        super().__init__("the drive was cancelled")
        self.result = result


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
    """Drives all workloads at the same time, and measures the runs that arrive in the `duration`
    seconds after the `warmup` seconds. The LLM calls of a run are marked as those of one run of its
    workflow. `on_progress` is called when a run ends; `on_run` is called with the times (Unix
    seconds) at which the run began and ended, also for a run that was cancelled.

    Arrivals go on at the same rate until the last measured run has ended, so that this run ends
    under full load. These later runs are not measured, and are cancelled then. A run fails if it
    raises, or takes longer than `timeout` seconds; so a drive ends at most `timeout` seconds after
    its window. Latency counts from the time at which a run was due.

    Cancelling this cancels every run, and raises DriveInterrupted with what was measured until
    then.

    Raises:
        BadInput: a rate and duration that give no run, or a workflow named twice.
    """
    _check(workloads, duration, warmup)
    clock = asyncio.get_running_loop().time
    begin = clock()

    def report() -> None:
        if on_progress is not None:
            on_progress(_progress(loads, clock() - begin, warmup + duration))

    def result(seconds: float, *, interrupted: bool = False) -> DriveResult:
        lags = [lag for load in loads for lag in load.lags]
        return DriveResult(
            workflows=tuple(load.measured(seconds) for load in loads),
            duration=seconds,
            warmup=warmup,
            seed=seed,
            lag=fmean(lags) if lags else 0.0,
            interrupted=interrupted,
        )

    loads = [RunningWorkload(load, begin + warmup, timeout, report, on_run) for load in workloads]
    passed = 0.0
    try:
        async with asyncio.TaskGroup() as tasks:
            feeders = [
                tasks.create_task(
                    load.feed(_arrivals(load.workload, warmup, duration, seed), tasks)
                )
                for load in loads
            ]
            try:
                for load in loads:
                    await load.wait(round(load.workload.rate * duration))
            finally:
                passed = clock() - begin - warmup
            for task in [*feeders, *(run for load in loads for run in load.open)]:
                task.cancel()
    except asyncio.CancelledError:
        seconds = min(duration, max(0.0, passed))
        raise DriveInterrupted(result(seconds, interrupted=True)) from None
    return result(duration)


def _arrivals(load: Workload, warmup: float, duration: float, seed: int) -> Iterator[RunArrival]:
    rng = random.Random(f"{seed}/{load.workflow}")
    return schedule(load.rate, warmup, duration, load.inputs, rng)


def _progress(loads: Sequence[RunningWorkload], elapsed: float, total: float) -> DriveProgress:
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
