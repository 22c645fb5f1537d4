"""Why a plan is what it is, in sentences with the numbers (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scepsy.core.plan import (
    Allocation,
    Explanation,
    Infeasible,
    Prediction,
    RunnerUp,
    WorkflowPrediction,
)
from scepsy.core.profile import Profile
from scepsy.planning import interval_text, ranking, simulation_text, what_if
from scepsy.planning.allocation_text import describe_all, differences
from scepsy.planning.contention import ITERATIONS_MAX, slowdowns
from scepsy.planning.decision import Decision
from scepsy.planning.external import sentences
from scepsy.planning.front import front_points
from scepsy.planning.latency_limit import LatencyLimit
from scepsy.planning.objective_text import change, objective_name
from scepsy.planning.provenance import notes
from scepsy.planning.shortlist import Shortlist
from scepsy.planning.simulation import SimulationOutcome
from scepsy.search import Choice
from scepsy.statistics.quantiles import P99_MIN

SLOWDOWN_SHOWN = 1.005
"""Factor above which a slowdown by neighbours is mentioned: a smaller one would print as 0%."""


def explain(
    decision: Decision,
    prediction: Prediction,
    profile: Profile,
    outcomes: Mapping[str, Choice | Infeasible],
    about_traces: Iterable[str] = (),
) -> Explanation:
    """The bottleneck, which predictor decided, where curves come from, what a GPU more or fewer
    would do (`outcomes` of `what_ifs`), the best other plans, and what was not considered. What was
    changed in the traces (`about_traces`) is said after the curves.

    `prediction` is the decision's, whose bootstrap is too costly to be made twice.

    Runners-up are the next best plan by the pipeline, and the best with another size (TP degree,
    GPU share) of one LLM's replicas.
    """
    entry, listed = decision.entry, decision.shortlist
    problem, chosen = listed.problem, listed.choice
    base = problem.pipeline.base
    objective = chosen.candidate.objective + base
    summary = [_bottleneck(flow) for flow in entry.replay.workflows]
    summary += interval_text.sentences(prediction)
    summary += [_p99(flow) for flow in prediction.workflows if flow.percentile_runs]
    summary += sentences(problem.endpoints, problem.targets)
    summary += _free_gpus(decision)
    summary += _slowdowns(slowdowns(entry.problem, entry.allocation, entry.placement))
    summary += simulation_text.sentences(decision)
    summary += _not_converged(decision)
    summary += [*notes(profile, entry.allocation), *about_traces]
    summary += [
        what_if.sentence(what, found, objective, problem) for what, found in outcomes.items()
    ]
    summary += [
        f"{llm}: no other replica size (TP degree, GPU share) meets the targets: {other.reason}"
        for llm, other in listed.other_sizes.items()
        if isinstance(other, Infeasible)
    ]
    if not chosen.proven:
        better = max(0.0, 1 - (chosen.bound + base) / objective) if objective > 0 else 0.0
        summary.append(
            "Fragmentation: many faster allocations do not fit the nodes and NVLink domains, and "
            "not all were tried. No allocation can be faster than the fastest that was found by "
            f"more than {better:.1%}"
        )
    skipped = tuple(
        f"{describe_all(each.candidate.allocation)}: {each.reason.reason}"
        for each in chosen.skipped
    )
    return Explanation(
        summary=tuple(summary),
        finalists=ranking.finalists(decision),
        runners_up=_runners_up(entry.allocation, listed),
        skipped=(*skipped, *chosen.pruned),
        front=front_points(decision),
        tolerance=0.0 if decision.tradeoff is None else decision.tradeoff.tolerance,
    )


def _free_gpus(decision: Decision) -> list[str]:
    """Why the plan uses as many GPUs as it does."""
    ours, traded = decision.entry, decision.tradeoff
    if traded is None:
        return []
    used = ours.placement.gpus
    if traded.limits:
        kept = " and ".join(_kept(limit, decision) for limit in traded.limits)
        return [f"{used} of {traded.gpus} GPUs are the fewest that were found to keep to {kept}"]
    if used >= traded.gpus:
        return []
    left = traded.gpus - used
    free = f"{left} of {traded.gpus} GPUs {'is' if left == 1 else 'are'} left free"
    fastest = traded.fastest
    if fastest.placement.gpus <= used:
        return [f"{free}: with them no plan is faster"]
    slower = max(ours.replay.objective / fastest.replay.objective - 1, 0.0)
    return [
        f"{free}: by a replay of the recorded runs the plan is {slower:.1%} slower than the "
        f"fastest, which uses {fastest.placement.gpus} GPUs (the tolerance is "
        f"{100 * traded.tolerance:.3g}%)"
    ]


def _kept(limit: LatencyLimit, decision: Decision) -> str:
    outcome = decision.simulated
    if isinstance(outcome, SimulationOutcome):
        found = f"{limit.measured(outcome.trials[outcome.best]):.3g} s simulated"
    else:
        found = f"{limit.replayed(decision.entry.replay):.3g} s by replay"
    return f"a {limit.name} of {limit.seconds:g} s ({found})"


def _runners_up(ours: Allocation, listed: Shortlist) -> tuple[RunnerUp, ...]:
    """Each plan once, best first: the next best of all, and the best of each other size."""
    pipeline, name = listed.problem.pipeline, objective_name(listed.problem.targets)
    candidates = [
        listed.choice.candidate,
        *listed.choice.runners_up,
        *(other.candidate for other in listed.other_sizes.values() if isinstance(other, Choice)),
    ]
    objective = pipeline.predict(ours).objective
    found = {one.allocation: one.objective + pipeline.base for one in candidates}
    ranked = sorted(found.items(), key=lambda item: item[1])
    return tuple(
        RunnerUp(
            allocation=theirs,
            objective=value,
            note=f"{change(value, objective)} {name}: {differences(ours, theirs)}",
        )
        for theirs, value in ranked
        if theirs != ours
    )


def _not_converged(decision: Decision) -> list[str]:
    """The limits of the iteration over neighbours' slowdown, where it was given up."""
    found: list[str] = []
    if not decision.entry.converged:
        found.append(
            "Latencies may be predicted too low: calls that slow each other on shared GPUs overlap "
            f"more, and after {ITERATIONS_MAX} iterations they were still found slower than before"
        )
    if not decision.shortlist.converged:
        found.append(
            f"A better plan may exist: after {ITERATIONS_MAX + 1} searches, placement still showed "
            "calls on shared GPUs to be slower than the search had assumed"
        )
    return found


def _p99(flow: WorkflowPrediction) -> str:
    of = "recorded" if flow.percentiles_by == "replay" else "simulated"
    if flow.latency_p99 is None:
        return (
            f"No p99 latency is given for {flow.workflow}: it needs {P99_MIN} runs, and there are "
            f"{flow.percentile_runs} {of} ones"
        )
    how = "timed anew with the plan's latencies" if of == "recorded" else "in the measured time"
    return (
        f"The p99 latency of {flow.workflow}, {flow.latency_p99:.3g} s, is that of "
        f"{flow.percentile_runs} {of} runs, {how}"
    )


def _slowdowns(found: Mapping[str, float]) -> list[str]:
    return [
        f"{llm}: a call takes {cost:.2f} x as long as without neighbours on its GPU, because they "
        "use the GPU's memory bandwidth, too (modelled)"
        for llm, cost in sorted(found.items())
        if cost > SLOWDOWN_SHOWN
    ]


def _bottleneck(flow: WorkflowPrediction) -> str:
    return (
        f"{flow.workflow}: {flow.bottleneck} saturates first, at {flow.throughput:.3g} runs/s "
        f"({flow.throughput / flow.target_rate:.1f} x the target of {flow.target_rate:.3g})"
    )
