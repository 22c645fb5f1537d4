"""Linear constraints that every placeable allocation meets, each as one number per replica.

Fractions of GPUs waste space: only three replicas of 0.3 fit on a GPU, whatever their sum says. A
dual feasible function f has sum f(x) <= 1 wherever sum x <= 1, so weighing each replica by f(x)
instead of x stays a necessary condition, and can be a sharper one: f(0.3) = 1/3. See Fekete and
Schepers, "New classes of fast lower bounds for bin packing problems" (2001). Any convex
combination of such functions is one again. For TP degrees and domains of odd sizes, counting the
room for groups of at least 2^k GPUs gives further conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from scepsy.core.cluster import Cluster
from scepsy.search.options import ReplicaSize

RESOLUTION = 120
"""Weight units in a GPU for sharper measures. Weights are rounded down, which keeps them valid."""


@dataclass(frozen=True, slots=True)
class Term:
    """Weight per GPU of a replica that takes 0, 1, ... grain units of memory of each of its GPUs.
    Replicas of fewer than `smallest_tp` GPUs weigh nothing.
    """

    smallest_tp: int
    fraction: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """A replica weighs its TP degree times the sum of the terms' fractions.

    Attributes:
        name: for reasons.
        scale: weight of a whole GPU. capacity: what the cluster holds.
    """

    name: str
    terms: tuple[Term, ...]
    scale: int
    capacity: int

    def weigh(self, shape: ReplicaSize) -> int:
        return shape.tp * sum(
            term.fraction[shape.memory] for term in self.terms if shape.tp >= term.smallest_tp
        )

    @property
    def gpus(self) -> float:
        return self.capacity / self.scale


def plain(grain: int, gpus: int) -> Measure:
    """GPUs as they are: the sum of shares is at most the number of GPUs."""
    return _shares("GPUs", grain, gpus)


def by_domain(cluster: Cluster, grain: int, gpus: int) -> Iterator[Measure]:
    """Room for replicas of at least 2, 4, 8, ... GPUs, where NVLink domains do not divide into
    groups of that size. `gpus` may be taken at most, as in what follows.
    """
    tp = 2
    while tp <= cluster.largest_domain:
        groups = sum(len(domain) // tp for node in cluster.nodes for domain in node.domains)
        groups = min(groups, gpus // tp)
        if groups * tp < gpus:
            yield _shares(f"groups of {tp} GPUs", grain, groups * tp, tp)
        tp *= 2


def sharper(cluster: Cluster, grain: int, gpus: int) -> Iterator[Measure]:
    """Further necessary conditions, each stronger than `plain` for some allocations."""
    yield from by_domain(cluster, grain, gpus)
    for parts in range(1, grain + 1):
        yield _rounded(f"{parts} parts", _in_parts(grain, parts), gpus)
    for least in range(2, (grain + 1) // 2 + 1):
        yield _rounded(f"at least {least}/{grain}", _large_only(grain, least), gpus)


def cautious(grain: int, gpus: int) -> Measure:
    """Not a condition but a proposal: parts up to half a GPU weigh as if only their like shared
    GPUs with them. Allocations that fit by it nearly always can be placed.
    """
    values = [
        Fraction(1, grain // units) if 0 < 2 * units <= grain else Fraction(units, grain)
        for units in range(grain + 1)
    ]
    weights = tuple(ceil(value * RESOLUTION) for value in values)
    return Measure("GPUs", (Term(1, weights),), RESOLUTION, gpus * RESOLUTION)


def mixed(one: Measure, other: Measure, weight: Fraction, gpus: int) -> Measure:
    """The surrogate constraint `(1 - weight) * one + weight * other`, each divided by its capacity:
    a necessary condition where both are.
    """
    capacity = gpus * RESOLUTION
    terms = [
        Term(term.smallest_tp, tuple(int(part * value) for value in term.fraction))
        for measure, part in (
            (one, (1 - weight) * Fraction(capacity, one.capacity)),
            (other, weight * Fraction(capacity, other.capacity)),
        )
        for term in measure.terms
    ]
    return Measure(f"{one.name} with {other.name}", tuple(terms), RESOLUTION, capacity)


def _shares(name: str, grain: int, gpus: int, smallest_tp: int = 1) -> Measure:
    return Measure(name, (Term(smallest_tp, tuple(range(grain + 1))),), grain, gpus * grain)


def _rounded(name: str, values: list[Fraction], gpus: int) -> Measure:
    weights = tuple(int(value * RESOLUTION) for value in values)
    return Measure(name, (Term(1, weights),), RESOLUTION, gpus * RESOLUTION)


def _in_parts(grain: int, parts: int) -> list[Fraction]:
    """f(x) = x if (k + 1) x is whole, else floor((k + 1) x) / k."""
    values: list[Fraction] = []
    for units in range(grain + 1):
        whole, rest = divmod((parts + 1) * units, grain)
        values.append(Fraction(whole, parts) if rest else Fraction(units, grain))
    return values


def _large_only(grain: int, least: int) -> list[Fraction]:
    """f(x) = 0 below the least size, 1 above its complement, else x."""
    return [
        Fraction(0 if units < least else grain if units > grain - least else units, grain)
        for units in range(grain + 1)
    ]
