"""Cutting planes: a valid inequality that an allocation violates which placement refused."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from scepsy.core.plan import Allocation
from scepsy.search.constraints import GpuConstraint, by_group_size, combined, valid_inequalities
from scepsy.search.exact import Search
from scepsy.search.options import ReplicaSize

COMBINATION_WEIGHTS = tuple(
    Fraction(part, 24) for part in (1, 2, 3, 5, 7, 9, 12, 15, 17, 19, 21, 22, 23)
)
"""Weights that are tried for the violated constraint in a surrogate constraint, a convex
combination of it and the present one.
"""
PASSES = 2
"""Times that every constraint on group sizes is combined with the present one, where there are
several. The second time starts from what the first found.
"""
CONSTRAINTS_COMPARED = 3
"""Constraints whose bounds are compared: those that are violated most."""


def with_violated_constraint(found: Search, refused: Allocation) -> Search | None:
    """The search under the constraint that `refused` violates and that gives the highest lower
    bound.

    None where `refused` violates no constraint, or none gives a higher bound than the present one.
    """
    space, grain = found.space, found.space.grain
    constraints = list(valid_inequalities(space.cluster, grain, space.gpus))
    violated = sorted(
        (constraint for constraint in constraints if excess(constraint, refused, grain) > 1),
        key=lambda constraint: -excess(constraint, refused, grain),
    )[:CONSTRAINTS_COMPARED]
    return _tightest(found, violated)


def with_group_constraints(found: Search) -> Search:
    """The search under the convex combination of the present constraint and those on group sizes
    that gives the highest lower bound.
    """
    space = found.space
    constraints = list(by_group_size(space.cluster, space.grain, space.gpus))
    for _ in range(PASSES if len(constraints) > 1 else 1):
        for constraint in constraints:
            found = _tightest(found, [constraint]) or found
    return found


def _tightest(found: Search, constraints: Sequence[GpuConstraint]) -> Search | None:
    """The search under one of the constraints, or under a combination of one with the present one,
    that gives the highest lower bound. None where that is no higher than the present bound.
    """
    tighter = [found.by(constraint) for constraint in constraints]
    tighter += [
        found.by(combined(found.constraint, constraint, weight, found.space.gpus))
        for constraint in constraints
        if constraint.capacity
        for weight in COMBINATION_WEIGHTS
    ]
    best = max(tighter, key=lambda search: search.bound(), default=None)
    return best if best is not None and best.bound() > found.bound() else None


def excess(constraint: GpuConstraint, allocation: Allocation, grain: int) -> float:
    """The weight of an allocation, divided by the capacity of the cluster; above 1 the allocation
    violates the constraint.
    """
    weight = sum(
        constraint.weigh(
            ReplicaSize(
                part.tp,
                round(part.gpu_share * grain),
                round(part.memory_share * grain),
                grain,
            )
        )
        * part.replicas
        for part in allocation.llms
    )
    return weight / constraint.capacity if constraint.capacity else float(weight > 0) * 2
