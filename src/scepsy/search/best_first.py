"""Enumerates choices in order of their cost, the dynamic programme being an exact heuristic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

import numpy as np

from scepsy.search.options import Floats, Ints
from scepsy.search.relaxation import Column, tails

Path = tuple["Path", int] | None
"""Options chosen so far, last first."""


@dataclass(frozen=True, slots=True, eq=False)
class Siblings:
    """The options of one column for a given rest of units, best first.

    `value` is the cost of the option and of the best completion behind it.
    """

    option: Ints
    value: Floats


def best_first(columns: Sequence[Column], capacity: int) -> Iterator[tuple[float, list[int]]]:
    """Yields (cost, option of every column) for all choices within `capacity`, cheapest first.

    Costs are as the search adds them up; equal sums may differ, and be out of order, by rounding.
    Lazy: the first is the optimum and costs one walk down; each further one adds the siblings
    along one path.
    """
    if not columns:
        yield 0.0, []
        return
    expand = _Expansion(columns, capacity)
    order = count()
    first = expand(0, capacity)
    heap: list[tuple[float, int, int, int, float, int, Path]] = []
    if len(first.value):
        heap.append((float(first.value[0]), next(order), 0, 0, 0.0, capacity, None))
    while heap:
        value, _, level, rank, spent, rest, path = heappop(heap)
        siblings = expand(level, rest)
        if rank + 1 < len(siblings.value):
            after = spent + float(siblings.value[rank + 1])
            heappush(heap, (after, next(order), level, rank + 1, spent, rest, path))
        option = int(siblings.option[rank])
        column, path = columns[level], (path, option)
        if level + 1 == len(columns):
            yield value, _chosen(path)
            continue
        spent += float(column.cost[option])
        rest -= int(column.units[option])
        heappush(heap, (value, next(order), level + 1, 0, spent, rest, path))


class _Expansion:
    """Siblings by (level, rest), remembered: many paths leave the same rest."""

    def __init__(self, columns: Sequence[Column], capacity: int) -> None:
        self._columns = columns
        self._tails = tails(columns, capacity)
        self._seen: dict[tuple[int, int], Siblings] = {}

    def __call__(self, level: int, rest: int) -> Siblings:
        if (level, rest) not in self._seen:
            self._seen[level, rest] = self._expand(level, rest)
        return self._seen[level, rest]

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
