"""The shortlist: the few plans to simulate, ranked by a replay of the recorded runs (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite

from scepsy.core.plan import Allocation, Infeasible, Placement, Prediction
from scepsy.planning.contention import with_slowdown_of
from scepsy.planning.problem import Problem
from scepsy.predict import Recorded, ReplayPredictor
from scepsy.search import Choice

LENGTH_MAX = 8
"""Plans on the shortlist: twice as many as are simulated by default."""
LLM_TIME_MIN = 0.05
"""Part of a workflow's LLM time below which other sizes of an LLM's replicas are not simulated.
Time in tools and of people does not count: where it dominates, LLMs still differ from each other.
"""


@dataclass(frozen=True, slots=True)
class ShortlistEntry:
    """A plan with its predictions, which include the slowdown by neighbours on its GPUs.

    Attributes:
        problem: the problem with the slowdown of this placement assumed.
        pipeline: the Aggregate LLM Pipeline's prediction.
        replay: the prediction by a replay of the recorded runs.
        without_neighbours: seconds; the weighted sum of mean latencies by replay if no GPU were
            shared. It ranks plans that are predicted to be infeasible with their neighbours.
        converged: whether the slowdown by neighbours was found to within its tolerance.
    """

    allocation: Allocation
    placement: Placement
    problem: Problem
    pipeline: Prediction
    replay: Prediction
    without_neighbours: float
    converged: bool

    @property
    def rank(self) -> tuple[bool, float]:
        feasible = isfinite(self.replay.objective)
        return not feasible, self.replay.objective if feasible else self.without_neighbours


@dataclass(frozen=True, slots=True)
class Shortlist:
    """The plans to choose from.

    Attributes:
        entries: in the order in which the replay ranks them.
        problem: the problem with the slowdown by neighbours that the pipeline's best was found
            under.
        choice: that best allocation.
        other_sizes: by LLM, the best where its replicas have another size (TP degree, part of a
            GPU).
        refused: why no allocation is feasible once its neighbours are known, where none is. Then
            only a simulation can show that an entry sustains the targets.
        converged: whether the slowdown by neighbours that search and placement agree on was found.
        recorded: the runs that were replayed, by workflow.
    """

    entries: tuple[ShortlistEntry, ...]
    problem: Problem
    choice: Choice
    other_sizes: Mapping[str, Choice | Infeasible]
    refused: Infeasible | None
    converged: bool
    recorded: Mapping[str, Recorded]


def replay(
    problem: Problem,
    placements: Mapping[Allocation, Placement],
    recorded: Mapping[str, Recorded],
) -> tuple[ShortlistEntry, ...]:
    """Times the recorded runs anew under each placed allocation, and ranks the allocations. The
    best `LENGTH_MAX` of those that differ in more than the sizes of parts of GPUs, or in LLMs that
    are hardly used.
    """
    entries = [entry_of(problem, recorded, *one) for one in placements.items()]
    return tuple(_distinct(sorted(entries, key=lambda entry: entry.rank)))[:LENGTH_MAX]


def entry_of(
    problem: Problem,
    recorded: Mapping[str, Recorded],
    allocation: Allocation,
    placement: Placement,
) -> ShortlistEntry:
    """A placed allocation with the predictions of pipeline and replay."""
    placed, converged = with_slowdown_of(problem, allocation, placement)
    return ShortlistEntry(
        allocation=allocation,
        placement=placement,
        problem=placed,
        pipeline=placed.pipeline.predict(allocation),
        replay=ReplayPredictor(placed.pipeline, recorded).predict(allocation),
        without_neighbours=ReplayPredictor(problem.pipeline, recorded)
        .predict(allocation)
        .objective,
        converged=converged,
    )


def _distinct(ranked: Iterable[ShortlistEntry]) -> Iterator[ShortlistEntry]:
    seen: set[tuple[tuple[str, int, bool, int], ...]] = set()
    for entry in ranked:
        compared = compared_llms(entry)
        key = tuple(
            (part.llm, part.tp, part.gpu_share < 1, part.replicas)
            for part in entry.allocation.llms
            if part.llm in compared
        )
        if key not in seen:
            seen.add(key)
            yield entry


def compared_llms(entry: ShortlistEntry) -> set[str]:
    """The LLMs that take at least `LLM_TIME_MIN` of some workflow's LLM time."""
    return {
        stage.llm
        for flow in entry.replay.workflows
        for stage in flow.stages
        if not isfinite(flow.latency_mean)
        or stage.seconds > LLM_TIME_MIN * sum(each.seconds for each in flow.stages)
    }
