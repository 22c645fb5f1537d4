"""Enumerates choices in order of their cost, the dynamic programme being an exact heuristic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf

import numpy as np

from scepsy.search.options import Floats, Ints
from scepsy.search.relaxation import Column, tails

Path = tuple["Path", int] | None
"""Options chosen so far, last first."""


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """A further limit that the choice must meet: what each option of each column takes of it."""

    units: Sequence[Ints]
    capacity: int

    def leftovers(self) -> list[int]:
        """By level, the most that the columns before it may have taken for the rest to fit."""
        least = [int(units.min(initial=0)) for units in self.units]
        return [self.capacity - sum(least[level:]) for level in range(len(least) + 1)]


@dataclass(slots=True)
class Budget:
    """Steps that a search may still take: a count, so that equal searches end alike everywhere.

    `reached` is the cost up to which every choice was enumerated when the steps ran out.
    """

    steps: int
    reached: float = -inf

    @property
    def spent(self) -> bool:
        return self.steps <= 0


@dataclass(frozen=True, slots=True, eq=False)
class Siblings:
    """The options of one column for a given rest of units, best first.

    `value` is the cost of the option and of the best completion behind it.
    """

    option: Ints
    value: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Partial:
    """Options chosen for the columns before `level`: their cost, the units that they leave, and
    what they take of every further condition.
    """

    level: int
    cost: float
    rest: int
    taken: tuple[int, ...]
    path: Path


def best_first(
    columns: Sequence[Column], capacity: int, conditions: Sequence[Condition], budget: Budget
) -> Iterator[tuple[float, list[int]]]:
    """Yields (cost, option of every column) for all choices within `capacity` that meet the
    conditions, cheapest first.

    Costs are as the search adds them up; equal sums may differ, and be out of order, by rounding.
    Lazy: without conditions the first is the optimum and costs one walk down; each further one adds
    the siblings along one path. Ends early when the budget is spent.
    """
    if not columns:
        yield 0.0, []
        return
    expand = _Expansion(columns, capacity)
    limits = [condition.leftovers() for condition in conditions]
    order = count()
    start = _Partial(0, 0.0, capacity, (0,) * len(conditions), None)
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
            before + int(condition.units[level][option])
            for before, condition in zip(partial.taken, conditions, strict=True)
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
    """Siblings by (level, rest), remembered: many paths leave the same rest."""

    def __init__(self, columns: Sequence[Column], capacity: int) -> None:
        self._columns = columns
        self._tails = tails(columns, capacity)
        self._seen: dict[tuple[int, int], Siblings] = {}

    def __call__(self, partial: _Partial) -> Siblings:
        key = partial.level, partial.rest
        if key not in self._seen:
            self._seen[key] = self._expand(*key)
        return self._seen[key]

    def _expand(self, level: int, rest: int) -> Siblings:
        column = self._columns[level]
        fits = np.flatnonzero(column.units <= rest)
        value = column.cost[fits] + self._tails[level + 1][rest - column.units[fits]]
        ranked = np.argsort(value, kind="stable")
        ranked = ranked[np.isfinite(value[ranked])]
        return Siblings(fits[ranked], value[ranked])


def _chosen(path: Path) -> list[int]:
    options: list[int] = []
    while path is not None:
        path, option = path
        options.append(option)
    return options[::-1]
