"""Several plans under the same runs at the same times: which is better, and beyond chance?"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scepsy.core.plan import Infeasible, Plan
from scepsy.core.trace import Trace
from scepsy.sim.cluster.deployment import TimerOf, deployment
from scepsy.sim.cluster.simulation import Simulation
from scepsy.sim.results.measure import in_window, window
from scepsy.sim.results.study import offered
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import simulate
from scepsy.traces.latency_trend import batches, latency_growth

WARMUP = 0.25
"""Part of the time that is left out: a short simulation spends much of it filling its queues."""
SUSTAINED = 0.95
"""A throughput this close to what was offered; for the same reason no closer."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a plan did. `latencies` are those of each workflow's runs, in their order, in seconds;
    `calls` is the mean of the calls that each workflow (first) makes of each LLM.

    `objective` is the weighted sum of their means; `parts` is the same of as many equal parts of
    the runs. `sustained`: whether no workflow's latency grew as long as runs arrived.
    """

    latencies: Mapping[str, Sequence[float]]
    calls: Mapping[tuple[str, str], float]
    objective: float
    parts: tuple[float, ...]
    sustained: bool


def trial(
    plan: Plan,
    traces: Sequence[Trace],
    loads: Mapping[str, tuple[float, int]],
    timer_of: TimerOf,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Trial | Infeasible:
    """Simulates `loads` (by workflow: runs per second, and how many runs) of a plan's targets.

    Raises BadInput for a workflow without traces, or one that cannot be simulated.
    """
    simulation = deployment(plan, timer_of)
    if isinstance(simulation, Infeasible):
        return simulation
    simulate(simulation, offered(traces, loads, arrivals, 1.0, seed), progress)
    weights = {target.workflow: target.weight for target in plan.targets}
    flows = in_window(simulation, WARMUP)
    means = [[weights[name] * mean for _, mean in batches(runs)] for name, runs in flows.items()]
    latencies = {name: [run.latency for run in runs] for name, runs in flows.items()}
    return Trial(
        latencies=latencies,
        calls=_calls(simulation),
        objective=sum(weights[name] * fmean(found) for name, found in latencies.items()),
        parts=tuple(map(sum, zip(*means, strict=False))),
        sustained=all(1 / (1 + latency_growth(runs)) >= SUSTAINED for runs in flows.values()),
    )


def _calls(simulation: Simulation) -> dict[tuple[str, str], float]:
    begin, end = window(simulation, WARMUP)
    found: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for call in simulation.calls:
        if begin <= call.start <= end:
            found[call.workflow, call.ask.llm].append(call.latency)
    return {key: fmean(latencies) for key, latencies in found.items()}


def difference(one: Trial, other: Trial) -> tuple[float, float]:
    """How much greater the objective of `one` is, and the standard error of that, both in seconds.

    Both had the same runs at the same times, so what a part of the runs takes longer is compared
    part by part: neighbours in a queue are not independent, parts nearly are.
    """
    apart = [a - b for a, b in zip(one.parts, other.parts, strict=False)]
    error = stdev(apart) / math.sqrt(len(apart)) if len(apart) > 1 else math.inf
    return fmean(apart) if apart else 0.0, error
