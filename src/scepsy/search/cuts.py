"""Finds a measure of GPUs that explains why placement refused an allocation."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from scepsy.core.plan import Allocation
from scepsy.search.exact import Search
from scepsy.search.measure import Measure, by_domain, mixed, sharper
from scepsy.search.options import ReplicaSize

MIXTURES = tuple(Fraction(part, 24) for part in (1, 2, 3, 5, 7, 9, 12, 15, 17, 19, 21, 22, 23))
"""Weights of a violated measure beside the present one in a surrogate constraint."""
PASSES = 2
"""Times that every measure of domains is mixed in, where there are several."""
CONSIDERED = 3
"""Measures to compare: those that are violated most."""


def sharpened(found: Search, refused: Allocation) -> Search | None:
    """The search by the measure that `refused` violates and that proves the best bound.

    None where no measure is violated, or none proves a better bound than the present one.
    """
    space, grain = found.space, found.space.grain
    measures = list(sharper(space.cluster, grain, space.gpus))
    violated = sorted(
        (measure for measure in measures if excess(measure, refused, grain) > 1),
        key=lambda measure: -excess(measure, refused, grain),
    )[:CONSIDERED]
    return _tightest(found, violated)


def with_domains(found: Search) -> Search:
    """The search by the mixture of measures that knows best how much room NVLink domains have for
    groups.
    """
    space = found.space
    measures = list(by_domain(space.cluster, space.grain, space.gpus))
    for _ in range(PASSES if len(measures) > 1 else 1):
        for measure in measures:
            found = _tightest(found, [measure]) or found
    return found


def _tightest(found: Search, measures: Sequence[Measure]) -> Search | None:
    """By one of the measures, or one mixed with the present: what proves the best bound, if that is
    better than the present one.
    """
    tighter = [found.by(measure) for measure in measures]
    tighter += [
        found.by(mixed(found.measure, measure, weight, found.space.gpus))
        for measure in measures
        if measure.capacity
        for weight in MIXTURES
    ]
    best = max(tighter, key=lambda search: search.bound(), default=None)
    return best if best is not None and best.bound() > found.bound() else None


def excess(measure: Measure, allocation: Allocation, grain: int) -> float:
    """What an allocation weighs over what the cluster holds."""
    weight = sum(
        measure.weigh(
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
    return weight / measure.capacity if measure.capacity else float(weight > 0) * 2
