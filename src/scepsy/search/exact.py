"""Exact search: allocations in order of their cost, none that could be placed left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Infeasible
from scepsy.search.best_first import Budget, Condition, best_first
from scepsy.search.measure import Measure, by_domain, plain
from scepsy.search.options import Ints, StageCosts
from scepsy.search.relaxation import Column, Relaxation, relax, slack
from scepsy.search.shortfall import shortfall
from scepsy.search.space import Space, space

UNLIMITED = 1 << 62
ROUNDING = 1e-9
"""Relative rounding error that sums of costs are allowed."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An allocation that may be placeable, and its cost in weighted seconds."""

    allocation: Allocation
    objective: float


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A space, and a measure of GPUs by which allocations must fit.

    Every placeable allocation fits by every measure, so under each of them the first candidate
    that can be placed is the optimum; a sharper measure proposes fewer that cannot.
    """

    space: Space
    measure: Measure

    def candidates(self, budget: Budget | None = None) -> Iterator[Candidate]:
        """Allocations that fit by the measure, by the number of GPUs and by the room for groups in
        NVLink domains: cheapest first, each once. Ends early where the budget is spent.

        Widens a window of cost: whatever costs at most `ceiling` is made of the few options that
        the relaxation leaves below it, so those alone are searched before the ceiling is raised.
        """
        budget = budget or Budget(UNLIMITED)
        columns = self._columns()
        if _least(columns) > self.measure.capacity:
            return
        relaxed = relax(columns, self.measure.capacity)
        slacks = [slack(column, relaxed.multiplier) for column in columns]
        largest = max((float(each.max()) for each in slacks), default=0.0)
        done = -np.inf
        for ceiling in _ceilings(relaxed, largest):
            room = ceiling - relaxed.lower
            inside = [np.flatnonzero(each <= room) for each in slacks]
            for objective, chosen in self._within(columns, inside, ceiling, budget):
                if done < objective <= ceiling:
                    yield Candidate(self._allocation(chosen), objective)
            if budget.spent:
                budget.reached = max(budget.reached, done)
                return
            done = ceiling

    def options_below(self, cost: float) -> list[Ints]:
        """By LLM, the options that can be part of a choice that fits and costs less than `cost`."""
        columns = self._columns()
        if _least(columns) > self.measure.capacity:
            return [np.arange(0) for _ in columns]
        relaxed = relax(columns, self.measure.capacity)
        room = cost - relaxed.lower + ROUNDING * abs(relaxed.lower)
        return [np.flatnonzero(slack(column, relaxed.multiplier) <= room) for column in columns]

    def bound(self) -> float:
        """A lower bound in weighted seconds on the cost of every allocation that can be placed; inf
        where none fits.
        """
        columns = self._columns()
        if _least(columns) > self.measure.capacity:
            return np.inf
        return relax(columns, self.measure.capacity).lower

    @property
    def least(self) -> int:
        """Units that the LLMs need at the very least."""
        return _least(self._columns())

    def by(self, measure: Measure) -> Search:
        return replace(self, measure=measure)

    def _within(
        self, columns: Sequence[Column], inside: Sequence[Ints], ceiling: float, budget: Budget
    ) -> Iterator[tuple[float, list[int]]]:
        """(objective, option of every LLM) from the options `inside`, up to the ceiling."""
        order = sorted(range(len(columns)), key=lambda index: -len(inside[index]))
        narrowed = [
            Column(columns[index].units[inside[index]], columns[index].cost[inside[index]])
            for index in order
        ]
        conditions = [
            Condition(
                [self.space.options[index].units(measure.weigh)[inside[index]] for index in order],
                measure.capacity,
            )
            for measure in self.conditions()
        ]
        for value, picks in best_first(narrowed, self.measure.capacity, conditions, budget):
            if value > ceiling + ROUNDING * abs(ceiling):
                return
            chosen = [0] * len(columns)
            for index, pick in zip(order, picks, strict=True):
                chosen[index] = int(inside[index][pick])
            yield _total(columns, chosen), chosen

    def conditions(self) -> list[Measure]:
        """Measures by which every candidate must fit, whichever orders them."""
        space = self.space
        known = [
            plain(space.grain, space.gpus),
            *by_domain(space.cluster, space.grain, space.gpus),
        ]
        return [measure for measure in known if measure != self.measure]

    def _columns(self) -> list[Column]:
        return [
            Column(options.units(self.measure.weigh), options.cost)
            for options in self.space.options
        ]

    def _allocation(self, chosen: Sequence[int]) -> Allocation:
        return Allocation(
            llms=tuple(
                options.allocation(index)
                for options, index in zip(self.space.options, chosen, strict=True)
            )
        )


def search(
    llms: Sequence[LlmSpec],
    cluster: Cluster,
    stage_costs: StageCosts,
    *,
    share_step: float = 0.1,
    share_groups: bool = False,
    gpus: int | None = None,
) -> Search | Infeasible:
    """The search for the least sum of stage costs on `cluster`, or on `gpus` of its GPUs.

    Shares of a GPU go in steps of `share_step`; `share_groups`: those of TP groups too. Infeasible
    where some LLM, or all together, cannot be served. Raises BadInput for a step that does not
    divide one GPU.
    """
    found = space(llms, cluster, stage_costs, share_step, share_groups=share_groups, gpus=gpus)
    if isinstance(found, Infeasible):
        return found
    return shortfall(found) or Search(found, plain(found.grain, found.gpus))


def _least(columns: Sequence[Column]) -> int:
    return sum(int(column.units.min()) for column in columns)


def _ceilings(relaxed: Relaxation, largest: float) -> Iterator[float]:
    """Rising costs up to which to look, from a choice that is known to fit, to all there is."""
    step = max(relaxed.upper - relaxed.lower, 1e-4 * abs(relaxed.upper), ROUNDING)
    ceiling = relaxed.upper + ROUNDING * abs(relaxed.upper)
    for doubling in count():
        if ceiling - relaxed.lower >= largest:
            yield np.inf
            return
        yield ceiling
        ceiling += step * 2**doubling


def _total(columns: Sequence[Column], chosen: Sequence[int]) -> float:
    """The cost of a choice, added up in one order whichever way it was found."""
    return sum(float(column.cost[index]) for column, index in zip(columns, chosen, strict=True))
