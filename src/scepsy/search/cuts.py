"""Finds a measure of GPUs that explains why placement refused an allocation."""

from __future__ import annotations

from fractions import Fraction

from scepsy.core.plan import Allocation
from scepsy.search.exact import Search
from scepsy.search.measure import Measure, mixed, sharper
from scepsy.search.options import ReplicaSize

MIXTURES = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
CONSIDERED = 3
"""Measures to compare, those that are violated most."""


def sharpened(found: Search, refused: Allocation) -> Search | None:
    """The search by the measure that `refused` violates and that proves the best bound.

    None where no measure is violated, or none proves a better bound than the present one.
    """
    cluster, grain = found.space.cluster, found.space.grain
    violated = sorted(
        (measure for measure in sharper(cluster, grain) if excess(measure, refused, grain) > 1),
        key=lambda measure: -excess(measure, refused, grain),
    )[:CONSIDERED]
    tighter = [found.by(measure) for measure in violated]
    tighter += [
        found.by(mixed(found.measure, measure, weight))
        for measure in violated
        if measure.smallest_tp == found.measure.smallest_tp
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
