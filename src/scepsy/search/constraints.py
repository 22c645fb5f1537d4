"""Valid inequalities: linear constraints that every placeable allocation meets. Each gives every
replica a weight and the cluster a capacity.

Fractions of GPUs waste space: only three replicas of 0.3 fit on a GPU, whatever their sum says. A
dual feasible function f has sum f(x) <= 1 wherever sum x <= 1, so weighing each replica by f(x)
instead of x gives a valid inequality, which can be a tighter one: f(0.3) = 1/3. See Fekete and
Schepers, "New classes of fast lower bounds for bin packing problems" (2001). Any convex
combination of such functions is a dual feasible function, too. Where NVLink domains have odd sizes,
counting the groups of 2^k GPUs that they hold gives further inequalities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from scepsy.core.cluster import Cluster
from scepsy.search.options import ReplicaSize

RESOLUTION = 120
"""Weight units in a GPU, for tighter constraints. Weights are rounded down to whole units, which
keeps the inequalities valid. 120 is divisible by 2, 3, 4, 5, 6, 8 and 10.
"""


@dataclass(frozen=True, slots=True)
class Term:
    """One part of a constraint's weights.

    Attributes:
        smallest_tp: replicas of a lower TP degree weigh nothing.
        fraction: weight per GPU of a replica that takes 0, 1, ... `grain` units of the memory of
            each of its GPUs.
    """

    smallest_tp: int
    fraction: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GpuConstraint:
    """The weights of all replicas together are at most `capacity`. A replica weighs its TP degree
    times the sum of the terms' fractions.

    Attributes:
        name: what the constraint counts, for messages.
        terms: the parts of a replica's weight.
        scale: weight units of a whole GPU.
        capacity: weight units that the cluster holds.
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


def total_gpus(grain: int, gpus: int) -> GpuConstraint:
    """The sum of GPU shares is at most the number of GPUs."""
    return _shares("GPUs", grain, gpus)


def by_group_size(cluster: Cluster, grain: int, gpus: int) -> Iterator[GpuConstraint]:
    """For group sizes of 2, 4, 8, ... GPUs: replicas of at least that TP degree fit in the groups
    that the NVLink domains hold. Sizes into which all domains divide give no constraint of their
    own. `gpus` is the most GPUs that may be taken, here and in the functions below.
    """
    tp = 2
    while tp <= cluster.largest_domain:
        groups = sum(len(domain) // tp for node in cluster.nodes for domain in node.domains)
        groups = min(groups, gpus // tp)
        if groups * tp < gpus:
            yield _shares(f"groups of {tp} GPUs", grain, groups * tp, tp)
        tp *= 2


def by_division(cluster: Cluster, grain: int, gpus: int) -> Iterator[GpuConstraint]:
    """For each number of shares into which some nodes divide their GPUs: replicas on such a share
    fit on these nodes only.
    """
    for shares, nodes in cluster.divisions.items():
        held = min(sum(len(node.free) for node in nodes), gpus)
        weights = tuple(int(units * shares == grain) for units in range(grain + 1))
        name = f"GPUs divided into {shares}" if shares > 1 else "undivided GPUs"
        yield GpuConstraint(name, (Term(1, weights),), shares, held * shares)


def valid_inequalities(cluster: Cluster, grain: int, gpus: int) -> Iterator[GpuConstraint]:
    """Further constraints, each of them tighter than `total_gpus` for some allocations. Where GPUs
    are divided into equal shares, no others are needed than those on divisions and group sizes.
    """
    yield from by_division(cluster, grain, gpus)
    yield from by_group_size(cluster, grain, gpus)
    if cluster.divisions:
        return
    for parts in range(1, grain + 1):
        yield _rounded(f"{parts} parts", _in_parts(grain, parts), gpus)
    for least in range(2, (grain + 1) // 2 + 1):
        yield _rounded(f"at least {least}/{grain}", _large_only(grain, least), gpus)


def conservative(grain: int, gpus: int) -> GpuConstraint:
    """Not a valid inequality but a heuristic restriction: a share of at most half a GPU weighs as
    if only replicas with the same share were on its GPU. Nearly every allocation that meets this
    constraint can be placed.
    """
    values = [
        Fraction(1, grain // units) if 0 < 2 * units <= grain else Fraction(units, grain)
        for units in range(grain + 1)
    ]
    weights = tuple(ceil(value * RESOLUTION) for value in values)
    return GpuConstraint("GPUs", (Term(1, weights),), RESOLUTION, gpus * RESOLUTION)


def combined(
    one: GpuConstraint, other: GpuConstraint, weight: Fraction, gpus: int
) -> GpuConstraint:
    """The surrogate constraint `(1 - weight) * one + weight * other`, each divided by its capacity.
    It is a valid inequality where both are.
    """
    capacity = gpus * RESOLUTION
    terms = [
        Term(term.smallest_tp, tuple(int(part * value) for value in term.fraction))
        for constraint, part in (
            (one, (1 - weight) * Fraction(capacity, one.capacity)),
            (other, weight * Fraction(capacity, other.capacity)),
        )
        for term in constraint.terms
    ]
    return GpuConstraint(f"{one.name} with {other.name}", tuple(terms), RESOLUTION, capacity)


def _shares(name: str, grain: int, gpus: int, smallest_tp: int = 1) -> GpuConstraint:
    return GpuConstraint(name, (Term(smallest_tp, tuple(range(grain + 1))),), grain, gpus * grain)


def _rounded(name: str, values: list[Fraction], gpus: int) -> GpuConstraint:
    weights = tuple(int(value * RESOLUTION) for value in values)
    return GpuConstraint(name, (Term(1, weights),), RESOLUTION, gpus * RESOLUTION)


def _in_parts(grain: int, parts: int) -> list[Fraction]:
    """f(x) = x if (k + 1) x is whole, else floor((k + 1) x) / k."""
    values: list[Fraction] = []
    for units in range(grain + 1):
        whole, rest = divmod((parts + 1) * units, grain)
        values.append(Fraction(whole, parts) if rest else Fraction(units, grain))
    return values


def _large_only(grain: int, least: int) -> list[Fraction]:
    """f(x) = 0 for x < least / grain, 1 for x > 1 - least / grain, else x."""
    return [
        Fraction(0 if units < least else grain if units > grain - least else units, grain)
        for units in range(grain + 1)
    ]
