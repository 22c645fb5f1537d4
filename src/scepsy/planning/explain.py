"""Why a plan is what it is, and why there is none, in sentences with the numbers (pure)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import msgspec

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import (
    Allocation,
    Explanation,
    Finalist,
    Infeasible,
    LlmAllocation,
    RunnerUp,
    WorkflowPrediction,
    size_name,
)
from scepsy.planning.external import sentences
from scepsy.planning.problem import Problem
from scepsy.planning.shortlist import Shortlist, ShortlistEntry
from scepsy.search import Choice

ADDED_NODE = "one-more"
RATE_MIN = 1e-6
"""Runs per second. A workflow that cannot be served at one run in twelve days cannot be at all."""


def explanation(
    entry: ShortlistEntry,
    listed: Shortlist,
    finalists: tuple[Finalist, ...],
    notes: Iterable[str] = (),
) -> Explanation:
    """The bottleneck, what a GPU more or fewer would do, the best other plans, what was skipped;
    `notes` are said after what binds.

    Runners-up are the next best plan, and the best with one LLM's replicas of another kind (TP
    degree, part of a GPU), as the pipeline has it.
    """
    problem, chosen = listed.problem, listed.choice
    base = problem.pipeline.base
    objective = chosen.candidate.objective + base
    one_more = problem.on(with_one_more(problem.cluster)).decide()
    one_fewer = problem.on(with_one_fewer(problem.cluster)).decide()
    summary = [_bottleneck(flow) for flow in entry.replay.workflows]
    summary += sentences(problem.hosted, problem.targets)
    summary += [*_company(entry.problem.shared(entry.allocation, entry.placement)), *notes]
    summary.append(_what_if("One more GPU", one_more, objective, base))
    summary.append(_what_if("One fewer GPU", one_fewer, objective, base))
    summary += [
        f"{llm}: replicas of no other kind (TP degree, part of a GPU) would do: {other.reason}"
        for llm, other in listed.others.items()
        if isinstance(other, Infeasible)
    ]
    if not chosen.proven:
        summary.append(
            "Fragmentation: many better allocations could not be placed; this is the best that was "
            "found; none is more than "
            f"{_percent(objective, chosen.bound + base)} better"
        )
    skipped = tuple(
        f"{_in_words(each.candidate.allocation)}: {each.reason.reason}" for each in chosen.skipped
    )
    skipped += problem.pruned()
    return Explanation(
        summary=tuple(summary),
        finalists=finalists,
        runners_up=_runners_up(entry.allocation, listed),
        skipped=skipped,
    )


def _runners_up(ours: Allocation, listed: Shortlist) -> tuple[RunnerUp, ...]:
    """Each plan once, best first: the next best of all, and the best of each other kind."""
    pipeline = listed.problem.pipeline
    candidates = [
        listed.choice.candidate,
        *listed.choice.runners_up,
        *(other.candidate for other in listed.others.values() if isinstance(other, Choice)),
    ]
    objective = pipeline.predict(ours).objective
    found = {one.allocation: one.objective + pipeline.base for one in candidates}
    ranked = sorted(found.items(), key=lambda item: item[1])
    return tuple(
        _runner_up(theirs, value, ours, objective) for theirs, value in ranked if theirs != ours
    )


def _runner_up(
    theirs: Allocation, their_objective: float, ours: Allocation, objective: float
) -> RunnerUp:
    worse = _percent(their_objective, objective)
    note = f"{worse} weighted latency: {differences(ours, theirs)}"
    return RunnerUp(allocation=theirs, objective=their_objective, note=note)


def infeasible(found: Infeasible, problem: Problem) -> Infeasible:
    """Adds to the constraint that binds the highest rates that can be met, all scaled alike. A plan
    exists at the rates that are named.
    """
    scale = _highest_scale(problem)
    if scale is None:
        return Infeasible(found.binding, f"{found.reason}. No rate could be met, however low")
    rates = ", ".join(f"{one.workflow} {one.rate * scale:.3g}/s" for one in problem.targets)
    part = f"{scale:.0%} of" if scale >= 0.01 else f"{scale:.1g} times"
    return Infeasible(
        found.binding,
        f"{found.reason}. The highest rates that can be met together: {rates} ({part} the targets)",
    )


def _highest_scale(problem: Problem) -> float | None:
    """The largest factor on all targets, below 1, at which a decision exists, to 0.05%; None where
    there is none down to `RATE_MIN`.
    """

    def met(scale: float) -> bool:
        return not isinstance(problem.scaled(scale).decide(), Infeasible)

    least = RATE_MIN / max(target.rate for target in problem.targets)
    low = high = 1.0
    while not met(low):
        low, high = low / 4, low
        if low < least:
            return None
    while high > 1.0005 * low:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if met(middle) else (low, middle)
    return low


def with_one_more(cluster: Cluster) -> Cluster:
    """The cluster and one GPU on a node of its own."""
    node = Node(name=ADDED_NODE, gpus=1, gpu_type=cluster.nodes[0].gpu_type)
    return msgspec.structs.replace(cluster, nodes=(*cluster.nodes, node))


def with_one_fewer(cluster: Cluster) -> Cluster:
    """The cluster without the last GPU of its last node."""
    *others, last = cluster.nodes
    kept = [msgspec.structs.replace(last, gpus=last.gpus - 1)] if last.gpus > 1 else []
    return msgspec.structs.replace(cluster, nodes=(*others, *kept))


def describe(part: LlmAllocation) -> str:
    """One LLM's allocation in a few words: "2 x TP4", "3 x 0.4 GPU"."""
    return f"{part.replicas} x {size_name(part.tp, part.gpu_share)}"


def _in_words(allocation: Allocation) -> str:
    return ", ".join(f"{part.llm} {describe(part)}" for part in allocation.llms)


def differences(ours: Allocation, theirs: Allocation) -> str:
    """What `theirs` does otherwise."""
    mine = {part.llm: describe(part) for part in ours.llms}
    return "; ".join(
        f"{part.llm} {describe(part)} instead of {mine.get(part.llm, 'none')}"
        for part in theirs.llms
        if describe(part) != mine.get(part.llm)
    )


def _company(stretch: Mapping[str, float]) -> list[str]:
    return [
        f"{llm}: a call takes {cost:.2f} x as long as alone on its part of a GPU, since neighbours "
        "want memory bandwidth too (modelled)"
        for llm, cost in sorted(stretch.items())
        if cost > 1.005
    ]


def _bottleneck(flow: WorkflowPrediction) -> str:
    return (
        f"{flow.workflow}: {flow.bottleneck} saturates first, at {flow.throughput:.3g} runs/s "
        f"({flow.throughput / flow.target_rate:.1f} x the target of {flow.target_rate:.3g})"
    )


def _what_if(what: str, outcome: Choice | Infeasible, objective: float, base: float) -> str:
    if isinstance(outcome, Infeasible):
        return f"{what}: the targets could not be met ({outcome.reason})"
    return (
        f"{what}: {_percent(outcome.candidate.objective + base, objective)} weighted mean latency"
    )


def _percent(value: float, reference: float) -> str:
    if reference <= 0:
        return f"{value:.3g} s"
    change = round((value / reference - 1) * 100, 1) + 0.0  # no minus before a zero
    return f"{change:+.1f}%"
