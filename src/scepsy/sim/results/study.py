"""Simulates a plan at the requested rates and at multiples of them, with the runs of its traces."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from scepsy.core.plan import Infeasible, Plan
from scepsy.core.trace import Trace
from scepsy.errors import BadInput
from scepsy.sim.cluster.deployment import TimerOf, deployment, roofline
from scepsy.sim.cluster.simulation import Simulation
from scepsy.sim.results.measure import (
    gpu_results,
    llm_results,
    slowest_runs,
    window,
    workflow_results,
)
from scepsy.sim.results.records import LoadPoint, SimulationResult
from scepsy.sim.workload.open_loop import OpenLoopLoad, simulate
from scepsy.sim.workload.recorded import RecordedWorkflow, replays

SCALES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Loads of the throughput-latency curve, as multiples of the requested rates."""


class Pattern(Protocol):
    """How runs arrive: returns `runs` rising times, starting at 0, of mean rate `rate`."""

    def __call__(self, rate: float, runs: int, rng: random.Random) -> list[float]: ...


def study(
    plan: Plan,
    traces: Sequence[Trace],
    loads: Mapping[str, tuple[float, int]],
    pattern: Pattern,
    *,
    seed: int = 0,
    timer_of: TimerOf = roofline,
    progress: Callable[[float], None] = lambda _: None,
) -> SimulationResult | Infeasible:
    """Simulates `loads` (by workflow: runs per second, and number of runs), and the same runs at
    other rates. `progress` is called with the fraction of the work that is done.

    Raises BadInput for a workflow without traces, or one that the plan cannot serve.
    """
    total = len(SCALES) * sum(runs for _, runs in loads.values())
    if isinstance(refused := deployment(plan, timer_of), Infeasible):
        return refused
    workflows = recorded_workflows(traces, loads, seed)
    points: list[LoadPoint] = []
    central: Simulation | None = None
    for number, scale in enumerate(SCALES):
        done = number / len(SCALES)
        simulation = deployment(plan, timer_of)
        if isinstance(simulation, Infeasible):
            return simulation
        arriving = offered(workflows, loads, pattern, scale, seed)
        simulate(simulation, arriving, lambda runs, done=done: progress(done + runs / total))
        points.append(LoadPoint(scale=scale, workflows=workflow_results(simulation)))
        if scale == 1.0:
            central = simulation
    assert central is not None
    begin, end = window(central)
    asks = [call.ask for call in central.calls]
    return SimulationResult(
        seed=seed,
        seconds=end - begin,
        calls=len(asks),
        tokens=sum(ask.prompt_tokens + ask.output_tokens * ask.items for ask in asks),
        workflows=workflow_results(central),
        llms=llm_results(central),
        gpus=gpu_results(central, plan),
        slowest=slowest_runs(central),
        curve=tuple(points),
    )


def recorded_workflows(
    traces: Sequence[Trace], names: Iterable[str], seed: int
) -> dict[str, RecordedWorkflow]:
    """The recordings of each named workflow, in an order that `seed` determines. They do not depend
    on the plan or on the rates, so one reading of the traces serves every simulation.

    Raises BadInput for a workflow without traces.
    """
    workflows = replays(traces, random.Random(seed))
    for name in names:
        if name not in workflows:
            known = ", ".join(sorted(workflows)) or "none"
            raise BadInput(f"no successful run of {name!r} in the traces; they have {known}")
    return workflows


def offered(
    workflows: Mapping[str, RecordedWorkflow],
    loads: Mapping[str, tuple[float, int]],
    pattern: Pattern,
    scale: float,
    seed: int,
) -> list[OpenLoopLoad]:
    """The runs of each workflow in `loads`, starting with the first recording, arriving at `scale`
    times the rates.
    """
    return [
        OpenLoopLoad(
            workflows[name].from_the_first(),
            pattern(rate * scale, runs, random.Random(f"{seed}/{name}")),
        )
        for name, (rate, runs) in sorted(loads.items())
    ]
