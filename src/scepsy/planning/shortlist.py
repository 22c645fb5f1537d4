"""The few plans that are worth a closer look: those that the pipeline finds best, each of another
kind (pure).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite

from scepsy.core.plan import Allocation, Infeasible, LlmAllocation, Placement, Prediction
from scepsy.planning.problem import Problem
from scepsy.predict import Recorded, ReplayPredictor
from scepsy.search import Choice

LENGTH = 8
MORE, LESS = (1.15, 1.3), 0.85
"""Times the targets for which plans are decided besides: curves are least sure near their end, and
what is best at a little less or more load is best at this one if they are wrong there. Less only
where curves are estimates: where a measured one ends, a replica is full."""
MATTERS = 0.05
"""Part of a run's LLM time from which on it matters how an LLM is run. Time in tools and of people
does not count: where it dominates, LLMs still differ from each other.
"""


@dataclass(frozen=True, slots=True)
class ShortlistEntry:
    """A plan with what the pipeline and the replay say of it, neighbours on its GPUs included.

    `alone` is the weighted latency were each part of a GPU alone there: what it is ranked by where
    its neighbours are reckoned to be too much for it.
    """

    allocation: Allocation
    placement: Placement
    problem: Problem
    pipeline: Prediction
    replay: Prediction
    alone: float

    @property
    def rank(self) -> tuple[bool, float]:
        feasible = isfinite(self.replay.objective)
        return not feasible, self.replay.objective if feasible else self.alone


@dataclass(frozen=True, slots=True)
class Shortlist:
    """`entries` are in the order in which the replay ranks them. `problem` and `choice` are those
    of the pipeline, its best with neighbours reckoned in; `others` are the best with replicas of
    one LLM, by its name, of another kind.

    `refused` says why no decision holds once neighbours are reckoned in, where none does: then only
    a simulation can bear one of the entries out.
    """

    entries: tuple[ShortlistEntry, ...]
    problem: Problem
    choice: Choice
    others: Mapping[str, Choice | Infeasible]
    refused: Infeasible | None = None


def shortlist(problem: Problem, recorded: Mapping[str, Recorded]) -> Shortlist | Infeasible:
    """At most `LENGTH` plans that can be placed. Infeasible where there is none even without what
    neighbours cost.
    """
    rounds = problem.rounds()
    last = rounds[-1][1]
    decided = [(one, chosen) for one, chosen in rounds if isinstance(chosen, Choice)]
    if not decided:
        assert isinstance(last, Infeasible)
        return last
    settled, choice = decided[-1]
    others = settled.kinds(choice.candidate.allocation)
    counts = [settled.count(part) for part in _slowest(settled, choice.candidate.allocation)]
    loads = (LESS, *MORE) if _estimated(problem) else MORE
    around = [problem.scaled(load).settled()[1] for load in loads]
    placements: dict[Allocation, Placement] = {}
    for chosen in (*(one for _, one in reversed(decided)), *others.values(), *counts, *around):
        if isinstance(chosen, Choice):
            placements.setdefault(chosen.candidate.allocation, chosen.placement)
    for candidate in choice.runners_up:
        placement = problem.place(candidate.allocation)
        if not isinstance(placement, Infeasible):
            placements.setdefault(candidate.allocation, placement)
    entries = [entry_of(problem, recorded, *one) for one in placements.items()]
    return Shortlist(
        entries=tuple(_unlike(sorted(entries, key=lambda one: one.rank)))[:LENGTH],
        problem=settled,
        choice=choice,
        others=others,
        refused=last if isinstance(last, Infeasible) else None,
    )


def _slowest(problem: Problem, allocation: Allocation) -> list[LlmAllocation]:
    """The LLM of each workflow that takes most of its time: whether few large replicas of it are
    better than many small ones, curves of one replica hardly tell.
    """
    flows = problem.pipeline.predict(allocation).workflows
    names = {max(flow.stages, key=lambda stage: stage.seconds).llm for flow in flows}
    return [part for part in allocation.llms if part.llm in names]


def _estimated(problem: Problem) -> bool:
    return all(
        curve.error > 0
        for response in problem.responses.values()
        for curve in response.whole.values()
    )


def entry_of(
    problem: Problem,
    recorded: Mapping[str, Recorded],
    allocation: Allocation,
    placement: Placement,
) -> ShortlistEntry:
    """An allocation in its place, as the predictors see it."""
    there = problem.placed(allocation, placement)
    return ShortlistEntry(
        allocation=allocation,
        placement=placement,
        problem=there,
        pipeline=there.pipeline.predict(allocation),
        replay=ReplayPredictor(there.pipeline, recorded).predict(allocation),
        alone=ReplayPredictor(problem.pipeline, recorded).predict(allocation).objective,
    )


def _unlike(ranked: Iterable[ShortlistEntry]) -> Iterator[ShortlistEntry]:
    """The best of those that differ in nothing but the size of parts of GPUs, and in LLMs of little
    weight.
    """
    seen: set[tuple[tuple[str, int, bool, int], ...]] = set()
    for entry in ranked:
        weighty = _weighty(entry)
        kind = tuple(
            (part.llm, part.tp, part.gpu_share < 1, part.replicas)
            for part in entry.allocation.llms
            if part.llm in weighty
        )
        if kind not in seen:
            seen.add(kind)
            yield entry


def _weighty(entry: ShortlistEntry) -> set[str]:
    return {
        stage.llm
        for flow in entry.replay.workflows
        for stage in flow.stages
        if not isfinite(flow.latency_mean)
        or stage.seconds > MATTERS * sum(each.seconds for each in flow.stages)
    }
