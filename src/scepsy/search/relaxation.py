"""The Lagrangian bound of a multiple-choice knapsack, and the options that can matter within it.

Choose one option per LLM, least total cost, total units at most a capacity. Pricing units at a
multiplier mu >= 0 makes the LLMs independent:

    lower(mu) = sum over LLMs of  min over options of (cost + mu * units)  -  mu * capacity

is a lower bound for every mu. An option whose own term is `slack` above its LLM's minimum appears
in no choice that costs less than lower(mu) + slack, which leaves few options to search exactly
(Pisinger, "A minimal algorithm for the multiple-choice knapsack problem", 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scepsy.search.options import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The options of one LLM: what each takes, and what it costs."""

    units: Ints
    cost: Floats

    def front(self) -> Column:
        """Least cost by units: units rising, cost falling."""
        order = np.lexsort((self.cost, self.units))
        units, cost = self.units[order], self.cost[order]
        before = np.concatenate([[np.inf], np.minimum.accumulate(cost)[:-1]])
        better = cost < before
        return Column(units[better], cost[better])


@dataclass(frozen=True, slots=True)
class Relaxation:
    """The best multiplier, the bound it proves, and the cost of a choice that fits."""

    multiplier: float
    lower: float
    upper: float


def relax(columns: Sequence[Column], capacity: int) -> Relaxation:
    """Maximises the bound. The least units of every column must fit in `capacity` together.

    Walks the concave, piecewise linear bound: two choices, one that fits and one that does not,
    are lines in mu; where they meet is the next mu to try, until no choice lies below both.
    """
    fronts = [column.front() for column in columns]
    loose_units, loose_cost = _pick(fronts, 0.0)
    if loose_units <= capacity:
        return Relaxation(0.0, loose_cost, loose_cost)
    tight_units = sum(int(front.units[0]) for front in fronts)
    tight_cost = sum(float(front.cost[0]) for front in fronts)
    while True:
        multiplier = (tight_cost - loose_cost) / (loose_units - tight_units)
        units, cost = _pick(fronts, multiplier)
        lower = cost + multiplier * (units - capacity)
        met = tight_cost + multiplier * (tight_units - capacity)
        if met - lower <= 1e-12 * abs(met) or units in (loose_units, tight_units):
            return Relaxation(multiplier, lower, tight_cost)
        if units <= capacity:
            tight_units, tight_cost = units, cost
        else:
            loose_units, loose_cost = units, cost


def slack(column: Column, multiplier: float) -> Floats:
    """How far each option raises the bound when it is chosen."""
    priced = column.cost + multiplier * column.units
    return priced - priced.min()


def tails(columns: Sequence[Column], capacity: int) -> tuple[Floats, ...]:
    """`tails(...)[i][b]`: least cost of columns i, i+1, ... within b units; inf where none fits.

    Exact dynamic programme (min-plus convolution of the fronts), O(options * capacity) in NumPy.
    Entry 0 is left empty: only its value at `capacity` would be used.
    """
    tail = np.zeros(capacity + 1)
    found = [tail]
    for column in reversed(columns[1:]):
        longer = np.full(capacity + 1, np.inf)
        front = column.front()
        for units, cost in zip(front.units.tolist(), front.cost.tolist(), strict=True):
            if units <= capacity:
                part = longer[units:]
                np.minimum(part, tail[: capacity + 1 - units] + cost, out=part)
        found.append(longer)
        tail = longer
    return (np.empty(0), *reversed(found))


def _pick(fronts: Sequence[Column], multiplier: float) -> tuple[int, float]:
    """Units and cost of the choice that a multiplier makes; of equals, the one with fewer units."""
    units, cost = 0, 0.0
    for front in fronts:
        best = int(np.argmin(front.cost + multiplier * front.units))
        units += int(front.units[best])
        cost += float(front.cost[best])
    return units, cost
