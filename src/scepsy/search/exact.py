"""Exact search: enumerates allocations in order of cost, and misses none that can be placed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Infeasible
from scepsy.search.best_first import Budget, SideConstraint, best_first
from scepsy.search.constraints import GpuConstraint, by_division, by_group_size, total_gpus
from scepsy.search.options import Ints, StageCosts
from scepsy.search.relaxation import Column, Relaxation, relax, slack
from scepsy.search.shortfall import shortfall
from scepsy.search.space import Space, space

UNLIMITED = 1 << 62
"""Steps of a search without a limit: more than any search takes."""
ROUNDING = 1e-9
"""Relative rounding error that sums of costs are allowed."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An allocation that may be placeable, and its cost in weighted seconds."""

    allocation: Allocation
    objective: float


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A space of allocations, and the constraint on GPUs by which they are enumerated.

    Every placeable allocation meets every valid inequality, so under each of them the first
    candidate that can be placed is the optimum. A tighter one leaves fewer that cannot be placed.
    """

    space: Space
    constraint: GpuConstraint

    def candidates(self, budget: Budget | None = None) -> Iterator[Candidate]:
        """Allocations that meet the constraint and all side constraints, cheapest first, each once.
        Ends early when the budget is spent.

        The ceiling on cost rises step by step. An allocation that costs at most `ceiling` consists
        of options with a small slack (reduced cost) in the relaxation, so only those are searched.
        """
        budget = budget or Budget(UNLIMITED)
        columns = self._columns()
        if _least(columns) > self.constraint.capacity:
            return
        relaxed = relax(columns, self.constraint.capacity)
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
        """By LLM: the indices of the options that can be part of a choice that meets the constraint
        and costs less than `cost` (weighted seconds).
        """
        columns = self._columns()
        if _least(columns) > self.constraint.capacity:
            return [np.arange(0) for _ in columns]
        relaxed = relax(columns, self.constraint.capacity)
        room = cost - relaxed.lower + ROUNDING * abs(relaxed.lower)
        return [np.flatnonzero(slack(column, relaxed.multiplier) <= room) for column in columns]

    def bound(self) -> float:
        """A lower bound, in weighted seconds, on the cost of every allocation that can be placed;
        inf where no allocation meets the constraint.
        """
        columns = self._columns()
        if _least(columns) > self.constraint.capacity:
            return np.inf
        return relax(columns, self.constraint.capacity).lower

    @property
    def least(self) -> int:
        """The fewest units of the constraint with which every LLM has one option."""
        return _least(self._columns())

    def by(self, constraint: GpuConstraint) -> Search:
        """The same search under another constraint."""
        return replace(self, constraint=constraint)

    def _within(
        self, columns: Sequence[Column], inside: Sequence[Ints], ceiling: float, budget: Budget
    ) -> Iterator[tuple[float, list[int]]]:
        """Yields (objective, option of every LLM) for choices among the options `inside` that cost
        at most `ceiling`.
        """
        order = sorted(range(len(columns)), key=lambda index: -len(inside[index]))
        narrowed = [
            Column(columns[index].units[inside[index]], columns[index].cost[inside[index]])
            for index in order
        ]
        side_constraints = [
            SideConstraint(
                [
                    self.space.options[index].units(constraint.weigh)[inside[index]]
                    for index in order
                ],
                constraint.capacity,
            )
            for constraint in self.side_constraints()
        ]
        for value, picks in best_first(
            narrowed, self.constraint.capacity, side_constraints, budget
        ):
            if value > ceiling + ROUNDING * abs(ceiling):
                return
            chosen = [0] * len(columns)
            for index, pick in zip(order, picks, strict=True):
                chosen[index] = int(inside[index][pick])
            yield _total(columns, chosen), chosen

    def side_constraints(self) -> list[GpuConstraint]:
        """The constraints that every candidate must meet besides the one that orders them."""
        space = self.space
        known = [
            total_gpus(space.grain, space.gpus),
            *by_division(space.cluster, space.grain, space.gpus),
            *by_group_size(space.cluster, space.grain, space.gpus),
        ]
        return [constraint for constraint in known if constraint != self.constraint]

    def _columns(self) -> list[Column]:
        return [
            Column(options.units(self.constraint.weigh), options.cost)
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
    """The search for the least sum of stage costs on `cluster`, or on at most `gpus` of its GPUs.

    GPU shares are multiples of `share_step`; where the cluster divides its GPUs into equal shares,
    they are those. With `share_groups`, the replicas of a TP group may have a share of each of its
    GPUs, too, unless GPUs are divided. Infeasible where the cluster cannot serve one LLM, or all
    of them together. Raises BadInput for a step that does not divide one GPU.
    """
    found = space(llms, cluster, stage_costs, share_step, share_groups=share_groups, gpus=gpus)
    if isinstance(found, Infeasible):
        return found
    return shortfall(found) or Search(found, total_gpus(found.grain, found.gpus))


def _least(columns: Sequence[Column]) -> int:
    return sum(int(column.units.min()) for column in columns)


def _ceilings(relaxed: Relaxation, largest: float) -> Iterator[float]:
    """Rising ceilings on cost: the first is the cost of a choice that is known to fit, the last is
    infinite.
    """
    step = max(relaxed.upper - relaxed.lower, 1e-4 * abs(relaxed.upper), ROUNDING)
    ceiling = relaxed.upper + ROUNDING * abs(relaxed.upper)
    for doubling in count():
        if ceiling - relaxed.lower >= largest:
            yield np.inf
            return
        yield ceiling
        ceiling += step * 2**doubling


def _total(columns: Sequence[Column], chosen: Sequence[int]) -> float:
    """The cost of a choice, always summed in the same order, so that it does not depend on the
    search by rounding.
    """
    return sum(float(column.cost[index]) for column, index in zip(columns, chosen, strict=True))
