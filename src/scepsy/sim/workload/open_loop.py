"""Runs that arrive, and the simulation from the first to the last of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from scepsy.sim.cluster.simulation import Simulation


class Workflow(Protocol):
    """What a run does. `Replay` and `Program` are some."""

    @property
    def workflow(self) -> str: ...
    def begin(self, simulation: Simulation, run: int) -> None:
        """The run of that number begins now; it calls `simulation.end_run(run)` when it ends."""
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
    """Until every run has ended. Open loop: nobody waits for capacity to arrive, so a load beyond
    it shows as latency that grows. `progress` is told now and then how many runs have arrived.

    Raises BadInput where a workflow asks for what the plan cannot serve.
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
