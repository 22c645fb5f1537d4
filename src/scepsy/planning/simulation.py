"""Simulates the best few plans: the traced runs under each of them, arriving at the same times
(pure).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from scepsy.core.plan import Explanation, Infeasible, Plan
from scepsy.core.trace import Trace
from scepsy.errors import BadInput
from scepsy.hardware.gpus import known_gpu
from scepsy.planning.problem import Problem
from scepsy.planning.shortlist import ShortlistEntry
from scepsy.planning.simulated_runs import runs_to_simulate
from scepsy.sim.cluster.deployment import TimerOf, roofline
from scepsy.sim.results.paired_trials import Trial, difference, trial
from scepsy.sim.results.study import recorded_workflows
from scepsy.sim.workload.recorded import RecordedWorkflow
from scepsy.traces.context import context_limits, within_context
from scepsy.traces.latency_trend import LoadVerdict

REPLAY_RATIO_MAX = 1.3
"""A plan is simulated if the replay finds it at most this many times as slow as its best."""
DURATION_LATENCIES_MIN = 8.0
"""Runs arrive for at least this many mean latencies of the slowest workflow."""
RUNS_MIN = 40
"""Runs of the rarest workflow that are simulated, if the limit on calls allows it. About 26 of them
arrive in the measured time, and a verdict on its rate needs 20 (`latency_trend.MIN_RUNS`)."""
CALLS_RATIO_MAX = 6.0
"""Limit on the simulated calls, as a multiple of those asked for. The two minima above give way."""
STANDARD_ERRORS_MIN = 2.0
"""Standard errors by which another plan must be faster to be taken: 95% confidence."""
NOTICEABLE = 0.01
"""Relative difference of latency by which another plan must be faster to be taken. Users do not
notice less."""


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """How plans are simulated.

    Attributes:
        plans: number of the best plans that are simulated.
        calls: approximate number of calls in the simulation of each.
        runs: the least number of runs of every workflow, whatever the number of calls.
        progress: is called with the part that is done, in [0, 1].
    """

    plans: int = 4
    calls: int = 10_000
    runs: int = 0
    seed: int = 0
    timer_of: TimerOf = roofline
    progress: Callable[[float], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class SimulationOutcome:
    """What the simulation of the best few plans found.

    Attributes:
        trials: by the place of an entry in the shortlist.
        best: the place of the entry to take. If no entry sustains the targets, nor does this one.
        loads: by workflow, runs per second and the number of runs that were simulated.
        not_servable: how many plans could not be simulated because some engine could not start, or
            has no room for a call.
        options: what was asked for.
    """

    trials: Mapping[int, Trial]
    best: int
    loads: Mapping[str, tuple[float, int]]
    not_servable: int
    options: SimulationOptions

    @property
    def verdict(self) -> LoadVerdict:
        """Whether the plan to take sustains the targets."""
        return self.trials[self.best].verdict


def simulate(
    entries: Sequence[ShortlistEntry],
    problem: Problem,
    traces: Sequence[Trace],
    options: SimulationOptions,
    speed: float,
) -> SimulationOutcome | Infeasible:
    """Simulates the first few of the ranked entries at the target rates. `speed` is how many times
    as fast as real engines the engines run.

    The first entry stays the best unless it does not sustain the targets and another does, or
    another is faster by more than chance and by at least `NOTICEABLE`.
    Runs with calls that are longer than their LLM takes are left out.
    Infeasible("simulation") where the problem cannot be simulated.
    """
    reason = _not_simulatable(problem)
    if reason is not None:
        return Infeasible("simulation", reason)
    places = _places(entries, options.plans)
    offered = loads(entries[0], problem, options.calls, options.runs)
    workflows = _workflows(problem, traces, offered, options)
    if isinstance(workflows, Infeasible):
        return workflows
    trials: dict[int, Trial] = {}
    refused = Infeasible("simulation", "there is no plan to simulate")
    for number, place in enumerate(places):
        found = _trial(
            draft(entries[place], problem, speed),
            workflows,
            offered,
            options,
            lambda part, number=number: options.progress((number + part) / len(places)),
        )
        if isinstance(found, Trial):
            trials[place] = found
        else:
            refused = found
    if not trials:
        return Infeasible("simulation", refused.reason)
    return SimulationOutcome(trials, _best(trials), offered, len(places) - len(trials), options)


def simulate_with_same_runs(
    entry: ShortlistEntry,
    known: SimulationOutcome,
    problem: Problem,
    traces: Sequence[Trace],
    speed: float,
) -> Trial | None:
    """Simulates a further entry with the same runs at the same times as in the known outcome. None
    where an engine could not start, or has no room for a call.
    """
    workflows = _workflows(problem, traces, known.loads, known.options)
    if isinstance(workflows, Infeasible):
        return None
    plan = draft(entry, problem, speed)
    found = _trial(plan, workflows, known.loads, known.options, lambda _: None)
    return found if isinstance(found, Trial) else None


def significantly_slower(one: Trial, other: Trial, part: float) -> bool:
    """Whether `one` is slower than `other` by more than chance (95% confidence) and by more than
    `part` of the latency of `other`.
    """
    slower, error = difference(one, other)
    return slower > part * other.objective and slower > STANDARD_ERRORS_MIN * error


def _workflows(
    problem: Problem,
    traces: Sequence[Trace],
    offered: Mapping[str, tuple[float, int]],
    options: SimulationOptions,
) -> Mapping[str, RecordedWorkflow] | Infeasible:
    """The runs to simulate: a sample of those without calls that their LLM refuses."""
    limits = context_limits(problem.needed_llms)
    counts = {workflow: runs for workflow, (_, runs) in offered.items()}
    sample = runs_to_simulate(within_context(traces, limits), counts, options.seed)
    try:
        return recorded_workflows(sample, offered, options.seed)
    except BadInput as error:  # a call of unknown length, or no run is left
        return Infeasible("simulation", str(error))


def _trial(
    plan: Plan,
    workflows: Mapping[str, RecordedWorkflow],
    offered: Mapping[str, tuple[float, int]],
    options: SimulationOptions,
    progress: Callable[[float], None],
) -> Trial | Infeasible:
    """What a plan does, or why it cannot serve these runs."""
    total = sum(runs for _, runs in offered.values())
    try:
        return trial(
            plan,
            workflows,
            offered,
            options.timer_of,
            seed=options.seed,
            progress=lambda runs: progress(runs / total),
        )
    except BadInput as error:  # a call that does not fit the KV cache of this plan's replicas
        return Infeasible("simulation", str(error))


def _best(trials: Mapping[int, Trial]) -> int:
    sustaining = [place for place in trials if trials[place].verdict != "not sustained"]
    compared = sustaining or list(trials)
    first = compared[0]
    fastest = min(compared, key=lambda place: trials[place].objective)
    slower = significantly_slower(trials[first], trials[fastest], NOTICEABLE)
    return fastest if slower else first


def draft(entry: ShortlistEntry, problem: Problem, speed: float) -> Plan:
    """The entry as a plan that is not explained yet."""
    return Plan(
        cluster=problem.cluster,
        llms=(*problem.needed_llms, *(one.llm for one in problem.endpoints)),
        targets=problem.targets,
        demands=problem.demands,
        allocation=entry.allocation,
        placement=entry.placement,
        prediction=entry.replay,
        explanation=Explanation(summary=()),
        time_scale=speed,
    )


def _not_simulatable(problem: Problem) -> str | None:
    """Why it cannot be simulated: step times or the latency of an endpoint are not known."""
    gpu_type = problem.cluster.nodes[0].gpu_type
    if known_gpu(gpu_type) is None:
        return f"no step times are known for GPU type {gpu_type!r}"
    if problem.endpoints:
        name = problem.endpoints[0].llm.name
        return f"the latency of {name} at its endpoint under this load is not known"
    return None


def _places(entries: Sequence[ShortlistEntry], most: int) -> list[int]:
    """Places of the entries to simulate: the best, and the best without neighbours on its GPUs, as
    their modelled slowdown is on the safe side.
    """
    near = [
        place
        for place, entry in enumerate(entries)
        if not isfinite(entry.replay.objective)
        or entry.replay.objective <= REPLAY_RATIO_MAX * entries[0].replay.objective
    ][:most]
    further = min(range(len(entries)), key=lambda place: entries[place].without_neighbours)
    return near if further in near or most < 2 else [*near[: most - 1], further]


def loads(
    first: ShortlistEntry, problem: Problem, calls: int, runs: int = 0
) -> dict[str, tuple[float, int]]:
    """By workflow: its target rate, and how many runs to simulate for about this number of calls,
    or some more where latencies are long or a workflow is rare; at least `runs`.
    """
    demands = {demand.workflow: demand for demand in problem.demands}
    per_second = sum(
        target.rate * sum(llm.calls for llm in demands[target.workflow].llms)
        for target in problem.targets
    )
    slowest = max(demand.latency.mean for demand in demands.values())
    predicted = [flow.latency_mean for flow in first.replay.workflows]
    slowest = max([slowest, *(one for one in predicted if isfinite(one))])
    rarest = min(target.rate for target in problem.targets)
    wished = max(calls / per_second, DURATION_LATENCIES_MIN * slowest, RUNS_MIN / rarest)
    seconds = max(min(wished, CALLS_RATIO_MAX * calls / per_second), runs / rarest)
    return {
        target.workflow: (target.rate, max(1, round(target.rate * seconds)))
        for target in problem.targets
    }
