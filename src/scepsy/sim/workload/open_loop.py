"""Runs that arrive as an open loop, and the simulation from the first to the last of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from scepsy.sim.cluster.simulation import Simulation


class Workflow(Protocol):
    """What a run does. Implemented by `RecordedWorkflow` and `Program`."""

    @property
    def workflow(self) -> str: ...
    def begin(self, simulation: Simulation, run: int) -> None:
        """Starts run number `run` now; calls `simulation.end_run(run)` when it ends."""
        ...


@dataclass(frozen=True, slots=True)
class OpenLoopLoad:
    """A workflow and the rising times at which its runs arrive."""

    workflow: Workflow
    times: Sequence[float]


def _nobody(_arrived: int) -> None: ...


def simulate(
    simulation: Simulation, loads: Sequence[OpenLoopLoad], progress: Callable[[int], None] = _nobody
) -> None:
    """Simulates until every run has ended. Arrivals are an open loop: they do not wait for
    capacity, so latency keeps growing under a load beyond it. `progress` is called from time to
    time with the number of runs that have arrived.

    Raises BadInput for a call that the plan cannot serve.
    """
    arrivals = sorted((time, number) for number, load in enumerate(loads) for time in load.times)
    events = simulation.events
    grain = max(1, len(arrivals) // 100)

    def arrive(index: int) -> None:
        if index + 1 < len(arrivals):
            events.at(arrivals[index + 1][0], arrive, index + 1)
        if index % grain == 0:
            progress(index)
        workflow = loads[arrivals[index][1]].workflow
        workflow.begin(simulation, simulation.begin_run(workflow.workflow))

    if arrivals:
        events.at(arrivals[0][0], arrive, 0)
        events.run()
    progress(len(arrivals))
