"""One workload that is being driven: starts its runs when they are due and keeps how they ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from scepsy.core.trace import RunMark
from scepsy.drive.arrivals import RunArrival
from scepsy.drive.result import RunOutcome, WorkflowMeasurement
from scepsy.drive.run import Function, run_once
from scepsy.drive.statistics import measure
from scepsy.marking import new_run

AFTER_WINDOW = (
    "not counted: it arrived after the measured window, where only short runs end in time"
)
"""Marks a run of the tail that has ended. The drive cancels those that are still open, so the rest
would make the recorded runs of a workflow shorter than its runs are.
"""


@dataclass(frozen=True, slots=True)
class Workload:
    """Runs of `function` as runs of `workflow`, `rate` per second on average.

    Each run takes the next of `inputs`: a mapping gives keyword arguments, and any other input is
    the only argument. Without inputs, the function is called without arguments.
    """

    workflow: str
    function: Function
    rate: float
    inputs: Sequence[object] = ()


@dataclass(slots=True)
class RunningWorkload:
    """The runs of one workload. `window` is when measuring begins, on the loop's clock; `begun`
    counts the measured runs that have started.
    """

    workload: Workload
    window: float
    timeout: float
    report: Callable[[], None]
    mark: Callable[[RunMark], None] | None
    completed: int = 0
    failed: int = 0
    begun: int = 0
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

    def measured(self, seconds: float) -> WorkflowMeasurement:
        """What the runs that arrived in the first `seconds` of the window show."""
        unfinished = self.begun - len(self.outcomes)
        name = self.workload.workflow
        return measure(name, self.outcomes, seconds, self.earlier_ends, unfinished)

    async def wait(self, runs: int) -> None:
        """Until this number of measured runs have ended."""
        while len(self.outcomes) < runs:
            self._ended.clear()
            await self._ended.wait()

    async def _run(self, arrival: RunArrival) -> None:
        clock = asyncio.get_running_loop().time
        due = self.window + arrival.time
        lag = clock() - due
        self.begun += arrival.measured
        load = self.workload
        run, start, error = new_run(), time.time(), "cancelled: the drive ended before it"
        try:
            error = await run_once(load.workflow, run, load.function, arrival.inputs, self.timeout)
        finally:
            after = not arrival.measured and arrival.time >= 0
            self._note(run, start, AFTER_WINDOW if after and error is None else error)
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
