"""The choice of options as a mixed-integer programme, solved by HiGHS.

Best-first search orders candidates under one constraint on GPUs. On clusters with nodes and NVLink
domains of odd sizes several constraints bind at once, and the steps run out among candidates that
meet only one of them. A mixed-integer programme has all of them as rows:

    minimise    sum over LLMs m and options o of cost[m, o] * x[m, o]
    subject to  sum over o of x[m, o] = 1                                     for every LLM m
                sum over m and o of weight[k, m, o] * x[m, o] <= capacity[k]  for every constraint k
                x[m, o] is 0 or 1
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from scepsy.core.plan import Allocation
from scepsy.search.constraints import GpuConstraint, valid_inequalities
from scepsy.search.cuts import excess
from scepsy.search.exact import Candidate, Search
from scepsy.search.options import Floats, Ints

ROUNDS = 12
"""Programmes that are solved one after another. Each excludes the allocations that placement has
refused until then.
"""
NODES_MAX = 1_000
"""Nodes of the branch and bound of one programme. Nodes are counted and not timed, so that a search
gives the same result on every machine.
"""
GAP_MAX = 1e-6
"""Relative gap between a solution and the bound at which HiGHS calls it the optimum."""
OPTIONS = {"node_limit": NODES_MAX, "mip_rel_gap": GAP_MAX, "presolve": False}
"""Options of HiGHS. Presolving saves nothing at these sizes, and HiGHS 1.12 prints a line to
standard output where it has to solve a presolved programme again.
"""
INFEASIBLE = 2
"""HiGHS's status of a programme without a solution (`scipy.optimize.milp`)."""


@dataclass(frozen=True, slots=True)
class Solved:
    """The cheapest candidate that can be placed, if one was found, and a lower bound in weighted
    seconds on the cost of every placeable allocation that is cheaper than the incumbent.
    """

    candidate: Candidate | None
    bound: float


def cheapest_fitting(
    found: Search, fits: Callable[[Candidate], bool], below: float = inf
) -> Solved:
    """The cheapest candidate that `fits`, if it costs less than `below`, the cost of the incumbent.
    The bound is at most `below`.

    Solves the programme. While `fits` refuses the solution, adds a row that cuts it off and solves
    again, at most `ROUNDS` times. The row is a valid inequality that the solution violates, or,
    where it violates none, one that excludes just this choice.
    """
    programme = _Programme(found, below)
    bound = found.bound()
    for _ in range(ROUNDS):
        chosen, lower = programme.solve()
        bound = max(bound, min(lower, below))
        if chosen is None or bound >= below:
            break
        candidate = programme.candidate(chosen)
        if fits(candidate):
            return Solved(candidate, min(bound, candidate.objective))
        programme.forbid(chosen, candidate.allocation)
    return Solved(None, bound)


class _Programme:
    """The programme, restricted to options that can be part of a choice that costs less than
    `below`.
    """

    def __init__(self, found: Search, below: float) -> None:
        self._space = found.space
        inside = found.options_below(below)
        self._options = [
            options.where(np.isin(np.arange(len(options)), kept))
            for options, kept in zip(found.space.options, inside, strict=True)
        ]
        self._cost: Floats = np.concatenate([options.cost for options in self._options])
        sizes = [len(options) for options in self._options]
        self._first: Ints = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        self._owner: Ints = np.repeat(np.arange(len(sizes)), sizes)
        self._constraints: list[GpuConstraint] = [found.constraint, *found.side_constraints()]
        self._rows: list[Ints] = []
        self._limits: list[int] = []
        for constraint in self._constraints:
            self._add(constraint)

    def solve(self) -> tuple[list[int] | None, float]:
        """(option of every LLM, lower bound). The options are None where no choice is feasible or
        none was found within `NODES_MAX`; the bound is inf where no choice is feasible.
        """
        if not all(len(options) for options in self._options):
            return None, inf
        optimize = importlib.import_module("scipy.optimize")  # 0.5 s: not before it is needed
        each = (self._owner == np.arange(len(self._options))[:, None]).astype(np.float64)
        # Each row is divided by its capacity, because HiGHS checks sums to an absolute 1e-6.
        limits = np.array(self._limits, dtype=np.float64)
        scale = np.maximum(limits, 1.0)
        rows = np.array(self._rows, dtype=np.float64) / scale[:, None]
        solved: Any = optimize.milp(
            self._cost,
            integrality=np.ones(len(self._cost)),
            bounds=optimize.Bounds(0, 1),
            constraints=[
                optimize.LinearConstraint(each, 1, 1),
                optimize.LinearConstraint(rows, ub=limits / scale),
            ],
            options=OPTIONS,
        )
        if solved.status == INFEASIBLE:
            return None, inf
        bound = -inf if solved.mip_dual_bound is None else float(solved.mip_dual_bound)
        if solved.x is None:
            return None, bound
        taken: Floats = np.asarray(solved.x)
        return [
            int(np.argmax(taken[first : first + len(options)]))
            for first, options in zip(self._first.tolist(), self._options, strict=True)
        ], bound

    def candidate(self, chosen: Sequence[int]) -> Candidate:
        picks = list(zip(self._options, chosen, strict=True))
        return Candidate(
            Allocation(llms=tuple(options.allocation(index) for options, index in picks)),
            sum(float(options.cost[index]) for options, index in picks),
        )

    def forbid(self, chosen: Sequence[int], refused: Allocation) -> None:
        """Adds a row that cuts off the refused choice."""
        space = self._space
        violated = [
            constraint
            for constraint in valid_inequalities(space.cluster, space.grain, space.gpus)
            if constraint not in self._constraints and excess(constraint, refused, space.grain) > 1
        ]
        if violated:
            constraint = max(violated, key=lambda one: excess(one, refused, space.grain))
            self._constraints.append(constraint)
            self._add(constraint)
            return
        row = np.zeros(len(self._cost), dtype=np.int64)
        row[self._first + np.array(chosen)] = 1
        self._rows.append(row)
        self._limits.append(len(chosen) - 1)

    def _add(self, constraint: GpuConstraint) -> None:
        self._rows.append(
            np.concatenate([options.units(constraint.weigh) for options in self._options])
        )
        self._limits.append(constraint.capacity)
