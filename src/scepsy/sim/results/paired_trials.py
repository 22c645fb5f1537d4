"""Several plans simulated with the same runs at the same times, and the significance of their
difference (pure).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scepsy.core.plan import Infeasible, Plan
from scepsy.sim.cluster.deployment import TimerOf, deployment
from scepsy.sim.cluster.simulation import ServedCall, Simulation
from scepsy.sim.results.measure import in_window, window
from scepsy.sim.results.study import offered
from scepsy.sim.workload.arrivals import arrivals
from scepsy.sim.workload.open_loop import simulate
from scepsy.sim.workload.recorded import RecordedWorkflow
from scepsy.statistics.batch_means import standard_error
from scepsy.traces.latency_trend import LoadVerdict, batches, load_verdict, overall

WARMUP = 0.25
"""Fraction of the arrival period that is not measured at its beginning: a short simulation spends
much of its time filling its queues.
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of one simulated plan.

    Attributes:
        latencies: seconds, by workflow, of the measured runs in order of arrival. Runs are measured
            if they arrived after the warm-up; if none did, all are.
        calls: mean latency of a call in seconds, by workflow and LLM.
        objective: weighted sum of the workflows' mean latencies, in seconds.
        parts: the same sum for each of up to ten consecutive parts of the runs.
        verdicts: by workflow, whether its target rate is sustained; "too short to tell" for one
            with fewer than `latency_trend.MIN_RUNS` measured runs.
    """

    latencies: Mapping[str, Sequence[float]]
    calls: Mapping[tuple[str, str], float]
    objective: float
    parts: tuple[float, ...]
    verdicts: Mapping[str, LoadVerdict]

    @property
    def verdict(self) -> LoadVerdict:
        return overall(self.verdicts.values())


def trial(
    plan: Plan,
    workflows: Mapping[str, RecordedWorkflow],
    loads: Mapping[str, tuple[float, int]],
    timer_of: TimerOf,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> Trial | Infeasible:
    """Simulates `loads` (by workflow: runs per second, and number of runs, at least one) on a plan.
    Every workflow of `loads` is in the result.

    Raises BadInput for a workflow that the plan cannot serve.
    """
    simulation = deployment(plan, timer_of)
    if isinstance(simulation, Infeasible):
        return simulation
    simulate(simulation, offered(workflows, loads, arrivals, 1.0, seed), progress)
    weights = {target.workflow: target.weight for target in plan.targets}
    flows = in_window(simulation, WARMUP)
    means = [[weights[name] * mean for _, mean in batches(runs)] for name, runs in flows.items()]
    latencies = {name: [run.latency for run in runs] for name, runs in flows.items()}
    return Trial(
        latencies=latencies,
        calls=_calls(simulation),
        objective=sum(weights[name] * fmean(found) for name, found in latencies.items()),
        parts=tuple(map(sum, zip(*means, strict=False))),
        verdicts={name: load_verdict(runs) for name, runs in flows.items()},
    )


def _calls(simulation: Simulation) -> dict[tuple[str, str], float]:
    """Mean latency of the calls that started in the window; where none did, of all."""
    begin, end = window(simulation, WARMUP)
    every: defaultdict[tuple[str, str], list[ServedCall]] = defaultdict(list)
    for call in simulation.calls:
        every[call.workflow, call.ask.llm].append(call)
    return {
        key: fmean(
            call.latency for call in [one for one in calls if begin <= one.start <= end] or calls
        )
        for key, calls in every.items()
    }


def difference(one: Trial, other: Trial) -> tuple[float, float]:
    """Objective of `one` minus that of `other`, and the standard error of this difference, in
    seconds.

    Both had the same runs at the same times, so the difference is taken for each part of the runs.
    Consecutive runs depend on each other through the queue; the parts are nearly independent.
    """
    differences = [a - b for a, b in zip(one.parts, other.parts, strict=False)]
    error = standard_error(differences)
    return fmean(differences) if differences else 0.0, math.inf if error is None else error
