"""Chooses the number of GPUs: repeats the steps of the planner on fewer GPUs (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scepsy.core.plan import Allocation, Infeasible, Placement
from scepsy.core.trace import Trace
from scepsy.planning.contention import Iterations
from scepsy.planning.decision import Decision
from scepsy.planning.fewest_gpus import Explorer
from scepsy.planning.latency_goal import fewest_gpus_within, options_for
from scepsy.planning.latency_limit import LatencyLimit
from scepsy.planning.problem import Problem
from scepsy.planning.shortlist import Shortlist, ShortlistEntry, replay
from scepsy.planning.simulation import SimulationOptions, simulate, simulate_with_same_runs
from scepsy.planning.tolerance import with_fewest_gpus
from scepsy.predict import Recorded, recordings


@dataclass(frozen=True, slots=True)
class PlannerSteps:
    """The steps of the planner that are repeated.

    Attributes:
        allocate: predicts, searches and places until the slowdown by neighbours has converged.
        shortlist: selects the plans to simulate, by those steps and a replay of the recorded runs.
    """

    allocate: Callable[[Problem], Iterations]
    shortlist: Callable[[Problem, Mapping[str, Recorded]], Shortlist | Infeasible]


def leave_free(
    decision: Decision,
    problem: Problem,
    traces: Sequence[Trace],
    speed: float,
    tolerance: float,
    steps: PlannerSteps,
) -> Decision:
    """The decision for the plan on the fewest GPUs whose latency exceeds that of the chosen plan by
    at most `tolerance`, relative. `speed` is as in `planner.decide`.
    """
    recorded = decision.shortlist.recorded
    return with_fewest_gpus(
        decision,
        problem,
        tolerance,
        explorer=lambda other, known: explorer(other, recorded, known, steps),
        simulate_entry=lambda entry, known: simulate_with_same_runs(
            entry, known, problem, traces, speed
        ),
    )


def decide_within(
    limits: Sequence[LatencyLimit],
    problem: Problem,
    traces: Sequence[Trace],
    options: SimulationOptions | None,
    speed: float,
    steps: PlannerSteps,
) -> Decision | Infeasible:
    """The plan on the fewest GPUs that meets the latency limits by replay and, with `options`, by
    simulation.
    """
    recorded = recordings(traces)
    found = steps.shortlist(problem, recorded)
    if isinstance(found, Infeasible):
        return found
    return fewest_gpus_within(
        limits,
        found,
        explorer(problem, recorded, found.entries, steps),
        problem.gpus_available,
        None
        if options is None
        else lambda entry: simulate([entry], problem, traces, options_for(limits, options), speed),
    )


def explorer(
    problem: Problem,
    recorded: Mapping[str, Recorded],
    known: Iterable[ShortlistEntry],
    steps: PlannerSteps,
) -> Explorer:
    """The explorer that finds plans for a problem on fewer GPUs."""
    return Explorer(
        problem,
        best=lambda other: replay(other, _placements(steps.allocate(other)), recorded),
        listed=lambda other: steps.shortlist(other, recorded),
        known=known,
    )


def _placements(found: Iterations) -> dict[Allocation, Placement]:
    """The best placeable allocation of each iteration on the slowdown, with its placement."""
    return {choice.candidate.allocation: choice.placement for _, choice in found.feasible}
