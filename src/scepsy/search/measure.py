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
class Measure:
    """Replicas of a shape weigh `tp * fraction[memory]`.

    Attributes:
        name: for reasons.
        fraction: weight of a replica (per GPU) that takes 0, 1, ... grain units of memory.
        smallest_tp: lower TP degrees weigh nothing.
        scale: weight of a whole GPU. capacity: what the cluster holds.
    """

    name: str
    fraction: tuple[int, ...]
    scale: int
    capacity: int
    smallest_tp: int = 1

    def weigh(self, shape: ReplicaSize) -> int:
        return shape.tp * self.fraction[shape.memory] if shape.tp >= self.smallest_tp else 0

    @property
    def gpus(self) -> float:
        return self.capacity / self.scale


def plain(cluster: Cluster, grain: int) -> Measure:
    """GPUs as they are: the sum of shares is at most the number of GPUs."""
    return Measure("GPUs", tuple(range(grain + 1)), grain, cluster.gpus * grain)


def sharper(cluster: Cluster, grain: int) -> Iterator[Measure]:
    """Further necessary conditions, each stronger than `plain` for some allocations."""
    yield from _by_domain(cluster, grain)
    for parts in range(1, grain + 1):
        yield _measure(f"{parts} parts", _in_parts(grain, parts), cluster)
    for least in range(2, (grain + 1) // 2 + 1):
        yield _measure(f"at least {least}/{grain}", _large_only(grain, least), cluster)


def cautious(cluster: Cluster, grain: int) -> Measure:
    """Not a condition but a proposal: parts up to half a GPU weigh as if only their like shared
    GPUs with them. Allocations that fit by it nearly always can be placed.
    """
    values = [
        Fraction(1, grain // units) if 0 < 2 * units <= grain else Fraction(units, grain)
        for units in range(grain + 1)
    ]
    weights = tuple(ceil(value * RESOLUTION) for value in values)
    return Measure("GPUs", weights, RESOLUTION, cluster.gpus * RESOLUTION)


def mixed(one: Measure, other: Measure, weight: Fraction) -> Measure:
    """The convex combination `(1 - weight) * one + weight * other` of two measures of GPUs."""
    values = [
        (1 - weight) * Fraction(a, one.scale) + weight * Fraction(b, other.scale)
        for a, b in zip(one.fraction, other.fraction, strict=True)
    ]
    gpus = one.capacity // one.scale
    return _rounded(f"{one.name} with {other.name}", values, gpus)


def _measure(name: str, values: list[Fraction], cluster: Cluster) -> Measure:
    return _rounded(name, values, cluster.gpus)


def _rounded(name: str, values: list[Fraction], gpus: int) -> Measure:
    weights = tuple(int(value * RESOLUTION) for value in values)
    return Measure(name, weights, RESOLUTION, gpus * RESOLUTION)


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


def _by_domain(cluster: Cluster, grain: int) -> Iterator[Measure]:
    """Room for groups of at least 2^k GPUs, where domains do not divide into them."""
    tp = 2
    while tp <= cluster.largest_domain:
        groups = sum(len(domain) // tp for node in cluster.nodes for domain in node.domains)
        if groups * tp < cluster.gpus:
            whole = (0,) * grain + (1,)
            yield Measure(f"groups of {tp} GPUs", whole, 1, groups * tp, smallest_tp=tp)
        tp *= 2
