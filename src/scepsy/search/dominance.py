"""Dominance: drops every option for which another costs no more and fits wherever it does."""

from __future__ import annotations

import numpy as np

from scepsy.search.options import Floats, Ints, Mask, Options


def undominated(options: Options) -> Options:
    """The options without the dominated ones. A dominates B if A costs no more than B and fits
    wherever B does.

    A fits wherever B does if the replicas of A can be cut from those of B
    (`ReplicaSize.capacity_for`). An allocation with B therefore stays placeable with A in its
    place. Of options that dominate each other, the first stays.
    """
    groups = [options.shape == index for index in range(len(options.shapes))]
    columns = [_column(options, group) for group in groups]
    keep = np.ones(len(options), dtype=np.bool_)
    for this, group in enumerate(groups):
        if group.any():
            keep[group] = _survivors(options, this, group, columns)
    return options.where(keep)


def _column(options: Options, group: Mask) -> Floats:
    """By r = 0, 1, ...: the least cost of the shape with at most r replicas."""
    most = int(options.replicas[group].max(initial=0))
    column = np.full(most + 1, np.inf)
    column[options.replicas[group]] = options.cost[group]
    return np.minimum.accumulate(column)


def _survivors(options: Options, this: int, group: Mask, columns: list[Floats]) -> Mask:
    shape = options.shapes[this]
    replicas, cost = options.replicas[group], options.cost[group]
    keep = cost < columns[this][replicas - 1]
    for other, rival in enumerate(options.shapes):
        per_replica = shape.capacity_for(rival)
        if other == this or per_replica == 0:
            continue
        if other > this and (rival.tp, rival.memory) == (shape.tp, shape.memory):
            keep &= (cost <= _at(columns[other], replicas)) & (
                cost < _at(columns[other], replicas - 1)
            )
        else:
            keep &= cost < _at(columns[other], replicas * per_replica)
    return keep


def _at(column: Floats, replicas: Ints) -> Floats:
    return column[np.minimum(replicas, len(column) - 1)]
