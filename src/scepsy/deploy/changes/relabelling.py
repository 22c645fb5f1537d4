"""Which of several equal GPUs a plan's replicas run on: those on which the fewest bytes have to be
loaded.

GPUs of one type are interchangeable. A plan stays the same plan, with the same prediction, if all
that it puts on one GPU is put on another instead. Replicas that share a GPU move together, because
the prediction counts what neighbours on a GPU cost one another. A *unit* is therefore all that a
plan puts on one GPU, or on the GPUs of one tensor-parallel group.

For units of each number of GPUs, the largest first, an assignment problem finds the GPUs. Its cost
is the bytes to load; where that is equal, units stay on the GPUs that the plan names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from scepsy.core.cluster import Cluster
from scepsy.core.plan import Replica
from scepsy.deploy.changes.assignment import cheapest_pairs
from scepsy.deploy.changes.ledger import Ledger, parts_held, parts_of
from scepsy.deploy.changes.likeness import gpus_of, may_stay, near
from scepsy.deploy.changes.limits import Room
from scepsy.deploy.changes.loading import Loading
from scepsy.deploy.changes.observed import GpuId, ObservedReplica
from scepsy.hardware.equal_shares import SHARE_TOLERANCE

ELSEWHERE = 1.0
"""Bytes that count for a unit on other GPUs than the plan's, so that it goes there for a reason.
Those that something has to leave first count half as much again.
"""

SETTLED = 1e18
"""Bytes that count for each replica that belongs to the wanted plan already and would have to go
again: more than any sum of weights. Otherwise the weights that a change brings onto nodes would
make another choice cheaper while it is under way, and it might not end.
"""

OCCUPIED = 1e15
"""Bytes that count for GPUs that have no room before something leaves them, unless those of the
plan have none either: to load less is no reason to serve less for a while.
"""

NO_ROOM = 1e24
"""Bytes that count where a unit does not fit or may not go: more than any sum of weights."""

Group = tuple[GpuId, ...]
"""GPUs in ascending order."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """Replicas that move together, and their GPUs in the plan."""

    gpus: Group
    replicas: tuple[Replica, ...]

    def at(self, group: Group) -> tuple[Replica, ...]:
        """The replicas on other GPUs: the first GPU of the plan becomes the first of the group."""
        to = dict(zip(self.gpus, group, strict=True))
        return tuple(relabelled(replica, to) for replica in self.replicas)

    @property
    def needs(self) -> NDArray[np.float64]:
        """(2, GPUs): the compute and the memory that the replicas take of each GPU."""
        sums = np.zeros((2, len(self.gpus)))
        for part in (part for replica in self.replicas for part in parts_of(replica)):
            sums[:, self.gpus.index(part.gpu)] += part.compute, part.memory
        return sums


def relabelled(replica: Replica, to: Mapping[GpuId, GpuId]) -> Replica:
    """The replica on other GPUs."""
    slices = tuple(
        msgspec.structs.replace(part, node=node, gpu=gpu)
        for part in replica.slices
        for node, gpu in [to[part.node, part.gpu]]
    )
    return msgspec.structs.replace(replica, slices=slices)


def arranged(
    replicas: Sequence[Replica],
    running: Iterable[ObservedReplica],
    cluster: Cluster,
    gpus: Mapping[GpuId, Room],
    loading: Loading,
    *,
    epoch: int,
) -> tuple[Replica, ...]:
    """A plan's replicas, in the same order, on the GPUs where the fewest bytes are to be loaded.
    Replicas of the plan's own `epoch` stay where they are.
    """
    running = tuple(running)
    able = [one for one in running if may_stay(one)]
    stay = [one.replica for one in able]
    settled = frozenset(one.name for one in able if one.epoch == epoch)
    map_ = _Map(cluster, gpus)
    for one in running:
        if not one.failed:
            map_.held.take(parts_held(one))
    to = {gpu: gpu for replica in replicas for gpu in gpus_of(replica)}
    units = _units(replicas)
    for size in sorted({len(unit.gpus) for unit in units}, reverse=True):
        same = [unit for unit in units if len(unit.gpus) == size]
        # Where the units of this size are now, after larger ones may have displaced them.
        here = [tuple(to[gpu] for gpu in unit.gpus) for unit in same]
        used = {to[gpu] for unit in units if len(unit.gpus) > size for gpu in unit.gpus}
        smaller = [[to[gpu] for gpu in unit.gpus] for unit in units if 1 < len(unit.gpus) < size]
        columns = _columns(here, stay, used, map_, size)
        chosen = _assigned(same, here, columns, stay, map_, loading, settled)
        swap = _swaps(here, chosen, map_)
        moved = {gpu: swap.get(now, now) for gpu, now in to.items()}
        if all(map_.in_one_domain([swap.get(gpu, gpu) for gpu in group]) for group in smaller):
            to = moved
    return tuple(relabelled(replica, to) for replica in replicas)


class _Map:
    """The GPUs by type and domain."""

    def __init__(self, cluster: Cluster, gpus: Mapping[GpuId, Room]) -> None:
        self.room = gpus
        self.held = Ledger(gpus)
        self.type: dict[GpuId, str] = {}
        self._domain: dict[GpuId, tuple[str, int]] = {}
        for node in cluster.nodes:
            for domain, indices in enumerate(node.domains):
                for index in indices:
                    self.type[node.name, index] = node.gpu_type
                    self._domain[node.name, index] = node.name, domain

    @property
    def there(self) -> list[GpuId]:
        """The GPUs of the cluster that may be used."""
        return [gpu for gpu in self.type if gpu in self.room]

    def types(self, group: Group) -> list[str | None]:
        return [self.type.get(gpu) for gpu in group]

    def rooms(self, groups: Sequence[Group]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Two arrays (groups, GPUs of a group): the room for compute, and for memory."""
        none = Room(0.0, 0.0)
        rooms = [[self.room.get(gpu, none) for gpu in group] for group in groups]
        compute = np.array([[room.compute for room in each] for each in rooms])
        return compute, np.array([[room.memory for room in each] for each in rooms])

    def holds(self, groups: Sequence[Group]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What runs on these GPUs, as `rooms`."""
        held = self.held
        compute = np.array([[held.compute.get(gpu, 0.0) for gpu in each] for each in groups])
        return compute, np.array([[held.memory.get(gpu, 0.0) for gpu in each] for each in groups])

    def in_one_domain(self, gpus: Iterable[GpuId]) -> bool:
        return len({self._domain.get(gpu) for gpu in gpus}) == 1


def _units(replicas: Sequence[Replica]) -> list[_Unit]:
    """The replicas by connected groups of GPUs."""
    root: dict[GpuId, GpuId] = {}

    def find(gpu: GpuId) -> GpuId:
        while root.setdefault(gpu, gpu) != gpu:
            gpu = root[gpu]
        return gpu

    for replica in replicas:
        first, *others = sorted(gpus_of(replica))
        for gpu in others:
            root[find(gpu)] = find(first)
    found: defaultdict[GpuId, list[Replica]] = defaultdict(list)
    for replica in replicas:
        found[find(min(gpus_of(replica)))].append(replica)
    return [
        _Unit(tuple(sorted({gpu for one in each for gpu in gpus_of(one)})), tuple(each))
        for each in found.values()
    ]


def _columns(
    here: Sequence[Group], stay: Sequence[Replica], used: set[GpuId], map_: _Map, size: int
) -> list[Group]:
    """The groups of GPUs that units of one size may get. They have no GPU in common: those of the
    units themselves, and others that are free of larger units. Of groups of several GPUs, only
    those come into question on which a replica of this size runs.
    """
    taken = used | {gpu for group in here for gpu in group}
    found = list(here)
    running = [tuple(sorted(gpus_of(one))) for one in stay]
    others = [(gpu,) for gpu in map_.there] if size == 1 else running
    for group in others:
        there = all(gpu in map_.room for gpu in group)
        if len(group) == size and there and not taken & set(group) and map_.in_one_domain(group):
            found.append(group)
            taken |= set(group)
    return found


def _assigned(
    units: Sequence[_Unit],
    here: Sequence[Group],
    columns: Sequence[Group],
    stay: Sequence[Replica],
    map_: _Map,
    loading: Loading,
    settled: frozenset[str],
) -> list[Group]:
    """For each unit, the group of GPUs on which all units together load the fewest bytes."""
    on: defaultdict[frozenset[GpuId], list[Replica]] = defaultdict(list)
    columns_of: defaultdict[str, set[int]] = defaultdict(set)
    column_at = {gpu: column for column, group in enumerate(columns) for gpu in group}
    for replica in stay:
        on[gpus_of(replica)].append(replica)
        columns_of[replica.llm] |= {column_at[g] for g in gpus_of(replica) if g in column_at}
    settled_at = np.zeros(len(columns))
    for replica in stay:
        for column in {column_at[g] for g in gpus_of(replica) if g in column_at}:
            settled_at[column] += replica.replica in settled
    nodes = [tuple(node for node, _ in group) for group in columns]
    kinds = {each: number for number, each in enumerate(dict.fromkeys(nodes))}
    kind = np.array([kinds[each] for each in nodes])
    compute, memory = map_.rooms(columns)
    held_compute, held_memory = map_.holds(columns)
    types = [map_.types(group) for group in columns]
    cost: NDArray[np.float64] = np.empty((len(units), len(columns)))
    for row, unit in enumerate(units):
        first = {each: nodes.index(each) for each in kinds}
        alone = [_bytes(unit.at(columns[first[each]]), {}, loading) for each in kinds]
        cost[row] = np.array(alone)[kind]
        needs = unit.needs
        full = (held_compute + needs[0] > compute + SHARE_TOLERANCE).any(axis=1)
        full |= (held_memory + needs[1] > memory + SHARE_TOLERANCE).any(axis=1)
        own = settled_at.copy()
        for column in {c for one in unit.replicas for c in columns_of[one.llm]}:
            cost[row, column] = _bytes(unit.at(columns[column]), on, loading)
            kept = _kept(unit.at(columns[column]), on)
            own[column] -= len(kept & settled)
            full[column] &= not kept
        wanted = map_.types(unit.gpus)
        fits = np.array([each == wanted for each in types])
        fits &= (compute >= needs[0] - SHARE_TOLERANCE).all(axis=1)
        fits &= (memory >= needs[1] - SHARE_TOLERANCE).all(axis=1)
        cost[row] += ELSEWHERE * (1.0 + 0.5 * full) + NO_ROOM * ~fits + SETTLED * own
        now = column_at[here[row][0]]
        cost[row] += OCCUPIED * (full & ~full[now])
        cost[row, now] -= ELSEWHERE * (1.0 + 0.5 * full[now])
    chosen = list(here)
    for row, column in cheapest_pairs(cost):
        chosen[row] = columns[column]
    return chosen


def _bytes(
    replicas: Sequence[Replica],
    on: Mapping[frozenset[GpuId], Sequence[Replica]],
    loading: Loading,
) -> float:
    """Bytes to load for these replicas, less those that run already."""
    pairs = _same(replicas, on)
    return sum(
        loading.bytes_of(one.llm, one.tp, (part.node for part in one.slices))
        for one, kept in zip(replicas, pairs, strict=True)
        if kept is None
    )


def _kept(
    replicas: Sequence[Replica], on: Mapping[frozenset[GpuId], Sequence[Replica]]
) -> set[str]:
    """Names of the running replicas that stay if these are wanted."""
    return {one for one in _same(replicas, on) if one is not None}


def _same(
    replicas: Sequence[Replica], on: Mapping[frozenset[GpuId], Sequence[Replica]]
) -> list[str | None]:
    """For each replica, the name of the running one that stays for it; None if it must start."""
    found: list[str | None] = []
    for replica in replicas:
        same = (one.replica for one in on.get(gpus_of(replica), ()) if near(one, replica))
        found.append(next((name for name in same if name not in found), None))
    return found


def _swaps(here: Sequence[Group], chosen: Sequence[Group], map_: _Map) -> dict[GpuId, GpuId]:
    """The permutation of GPUs that brings each group to its chosen one. GPUs that are displaced and
    belong to no group of this size fill the places of the same type that become free.
    """
    to = {
        gpu: target
        for group, new in zip(here, chosen, strict=True)
        for gpu, target in zip(group, new, strict=True)
    }
    targets = set(to.values())
    displaced = [gpu for gpu in to.values() if gpu not in to]
    vacated = [gpu for gpu in to if gpu not in targets]

    def of_type(gpu: GpuId) -> str:
        return map_.type.get(gpu, "")

    # Sorting is stable, so a group that is displaced as a whole stays together.
    pairs = zip(sorted(displaced, key=of_type), sorted(vacated, key=of_type), strict=True)
    return to | dict(pairs)
