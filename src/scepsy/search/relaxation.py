"""The Lagrangian relaxation of a multiple-choice knapsack: its lower bound and its reduced costs.

The knapsack: choose one option per LLM such that the total cost is least and the total of units is
at most a capacity. With a price (multiplier) mu >= 0 on units, each LLM can choose on its own:

    lower(mu) = sum over LLMs of  min over options of (cost + mu * units)  -  mu * capacity

is a lower bound for every mu. An option whose term is `slack` above the minimum of its LLM is part
of no choice that costs less than lower(mu) + slack. That leaves few options to search exactly
(Pisinger, "A minimal algorithm for the multiple-choice knapsack problem", 1995).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scepsy.search.options import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The options of one LLM: the units that each takes, and its cost in weighted seconds."""

    units: Ints
    cost: Floats

    def pareto_front(self) -> Column:
        """The Pareto-optimal options: units rising, cost falling."""
        order = np.lexsort((self.cost, self.units))
        units, cost = self.units[order], self.cost[order]
        before = np.concatenate([[np.inf], np.minimum.accumulate(cost)[:-1]])
        better = cost < before
        return Column(units[better], cost[better])


@dataclass(frozen=True, slots=True)
class Relaxation:
    """The multiplier with the highest lower bound, that bound, and an upper bound: the cost of a
    choice that fits.
    """

    multiplier: float
    lower: float
    upper: float


def relax(columns: Sequence[Column], capacity: int) -> Relaxation:
    """Maximises the lower bound over mu. The fewest units of all columns must fit in `capacity`.

    The bound is a concave, piecewise linear function of mu, and every choice is a line above it.
    The next mu is where the lines of two choices meet, one that fits and one that does not, until
    no choice lies below both there.
    """
    fronts = [column.pareto_front() for column in columns]
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
    """By option: how much the lower bound rises if that option is chosen (its reduced cost)."""
    priced = column.cost + multiplier * column.units
    return priced - priced.min()


def cost_to_go(columns: Sequence[Column], capacity: int) -> tuple[Floats, ...]:
    """`cost_to_go(...)[i][b]`: the least cost of columns i, i+1, ... within b units; inf where no
    choice fits.

    Exact dynamic programme (min-plus convolution of the fronts), O(options * capacity) in NumPy.
    Entry 0 is left empty: only its value at `capacity` would be used.
    """
    tail = np.zeros(capacity + 1)
    found = [tail]
    for column in reversed(columns[1:]):
        longer = np.full(capacity + 1, np.inf)
        front = column.pareto_front()
        for units, cost in zip(front.units.tolist(), front.cost.tolist(), strict=True):
            if units <= capacity:
                part = longer[units:]
                np.minimum(part, tail[: capacity + 1 - units] + cost, out=part)
        found.append(longer)
        tail = longer
    return (np.empty(0), *reversed(found))


def _pick(fronts: Sequence[Column], multiplier: float) -> tuple[int, float]:
    """(units, cost) of the choice that minimises cost + multiplier * units. Of equally good options
    the one with fewer units is taken.
    """
    units, cost = 0, 0.0
    for front in fronts:
        best = int(np.argmin(front.cost + multiplier * front.units))
        units += int(front.units[best])
        cost += float(front.cost[best])
    return units, cost
