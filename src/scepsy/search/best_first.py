"""Best-first enumeration of choices, one option per LLM, in order of their cost.

The priority of a partial choice is its cost plus the exact least cost of completing it, which a
dynamic programme gives (`relaxation.cost_to_go`): A* search with a perfect heuristic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf

import numpy as np

from scepsy.search.options import Floats, Ints
from scepsy.search.relaxation import Column, cost_to_go

Path = tuple["Path", int] | None
"""Options chosen so far, last first."""


@dataclass(frozen=True, slots=True, eq=False)
class SideConstraint:
    """A further capacity that a choice must not exceed.

    Attributes:
        units: by column, the units that each of its options takes.
        capacity: the units that there are.
    """

    units: Sequence[Ints]
    capacity: int

    def leftovers(self) -> list[int]:
        """By level: the most units that the columns before it may take, if every later column takes
        its fewest.
        """
        least = [int(units.min(initial=0)) for units in self.units]
        return [self.capacity - sum(least[level:]) for level in range(len(least) + 1)]


@dataclass(slots=True)
class Budget:
    """Steps that a search may still take. Steps are counted and not timed, so that a search gives
    the same result on every machine.

    Attributes:
        steps: partial choices that may still be expanded.
        reached: the cost up to which every choice had been enumerated when the steps ran out.
    """

    steps: int
    reached: float = -inf

    @property
    def spent(self) -> bool:
        return self.steps <= 0


@dataclass(frozen=True, slots=True, eq=False)
class Siblings:
    """The options of one column that fit in the units that are left, best first.

    `value` is the cost of the option plus the least cost of the columns after it.
    """

    option: Ints
    value: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Partial:
    """Options chosen for the columns before `level`.

    Attributes:
        cost: the sum of their costs.
        rest: the units that they leave.
        taken: by side constraint, the units that they take.
    """

    level: int
    cost: float
    rest: int
    taken: tuple[int, ...]
    path: Path


def best_first(
    columns: Sequence[Column],
    capacity: int,
    side_constraints: Sequence[SideConstraint],
    budget: Budget,
) -> Iterator[tuple[float, list[int]]]:
    """Yields (cost, option of every column) for all choices within `capacity` that meet the side
    constraints, cheapest first.

    Costs are sums in the order of the search, so equal costs may differ, and be out of order, by
    rounding. The iterator is lazy: without side constraints the first choice is the optimum and
    takes one step per column; each further choice adds the siblings along one path. It ends early
    when the budget is spent.
    """
    if not columns:
        yield 0.0, []
        return
    expand = _Expansion(columns, capacity)
    limits = [side_constraint.leftovers() for side_constraint in side_constraints]
    order = count()
    start = _Partial(0, 0.0, capacity, (0,) * len(side_constraints), None)
    first = expand(start)
    heap: list[tuple[float, int, int, _Partial]] = []
    if len(first.value):
        heap.append((float(first.value[0]), next(order), 0, start))
    while heap:
        value, _, rank, partial = heappop(heap)
        if budget.spent:
            budget.reached = value
            return
        budget.steps -= 1
        siblings = expand(partial)
        if rank + 1 < len(siblings.value):
            after = partial.cost + float(siblings.value[rank + 1])
            heappush(heap, (after, next(order), rank + 1, partial))
        option, level = int(siblings.option[rank]), partial.level
        taken = tuple(
            before + int(side_constraint.units[level][option])
            for before, side_constraint in zip(partial.taken, side_constraints, strict=True)
        )
        if any(each > limit[level + 1] for each, limit in zip(taken, limits, strict=True)):
            continue
        path = partial.path, option
        if level + 1 == len(columns):
            yield value, _chosen(path)
            continue
        column = columns[level]
        cost = partial.cost + float(column.cost[option])
        rest = partial.rest - int(column.units[option])
        heappush(heap, (value, next(order), 0, _Partial(level + 1, cost, rest, taken, path)))


class _Expansion:
    """Siblings by (level, rest). Cached, because many partial choices leave the same rest."""

    def __init__(self, columns: Sequence[Column], capacity: int) -> None:
        self._columns = columns
        self._cost_to_go = cost_to_go(columns, capacity)
        self._seen: dict[tuple[int, int], Siblings] = {}

    def __call__(self, partial: _Partial) -> Siblings:
        key = partial.level, partial.rest
        if key not in self._seen:
            self._seen[key] = self._expand(*key)
        return self._seen[key]

    def _expand(self, level: int, rest: int) -> Siblings:
        column = self._columns[level]
        fits = np.flatnonzero(column.units <= rest)
        value = column.cost[fits] + self._cost_to_go[level + 1][rest - column.units[fits]]
        ranked = np.argsort(value, kind="stable")
        ranked = ranked[np.isfinite(value[ranked])]
        return Siblings(fits[ranked], value[ranked])


def _chosen(path: Path) -> list[int]:
    options: list[int] = []
    while path is not None:
        path, option = path
        options.append(option)
    return options[::-1]
