"""Which running replica stays for which wanted one, which have to go, and which are missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from scepsy.core.plan import Replica
from scepsy.deploy.changes.assignment import cheapest_pairs
from scepsy.deploy.changes.ledger import Ledger, parts_of
from scepsy.deploy.changes.likeness import difference, gpus_of, may_stay, near
from scepsy.deploy.changes.limits import Limits
from scepsy.deploy.changes.loading import Loading
from scepsy.deploy.changes.observed import GpuId, Observed, ObservedReplica, Wanted
from scepsy.deploy.changes.relabelling import arranged

Key = tuple[str, int, frozenset[GpuId]]
"""What must be the same for a replica to stay: LLM, TP degree and GPUs."""


@dataclass(frozen=True, slots=True)
class Start:
    """A wanted replica that does not run yet, under the name that it will have.

    `replaces` is the replica whose place it takes; None where the LLM only gains a replica.
    """

    replica: Replica
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """Running and wanted replicas, side by side.

    Attributes:
        keep: running replicas that stay, whatever their state.
        leave: running replicas that are to go in order: the plan does not have them, or they are
            outdated.
        failed: running replicas that hang or have died, and must be stopped.
        start: wanted replicas that do not run.
    """

    keep: tuple[ObservedReplica, ...]
    leave: tuple[ObservedReplica, ...]
    failed: tuple[ObservedReplica, ...]
    start: tuple[Start, ...]


def matched(wanted: Wanted, observed: Observed, limits: Limits) -> Matched:
    """Matches what runs with what is wanted, so that the fewest bytes have to be loaded.

    A replica stays if the plan wants its LLM at its size on its GPUs, whatever its name, and shares
    that are nearly the same count as the same where the GPUs have room for them. A start has the
    name of the plan, or the LLM's next free one if a running replica has that.
    """
    loading = Loading.of(wanted.llms, observed)
    running = observed.replicas
    plan = wanted.plan
    replicas = arranged(
        wanted.replicas, running, plan.cluster, limits.gpus, loading, epoch=wanted.epoch
    )
    pairs = _pairs(replicas, running)
    pairs = _that_fit(replicas, pairs, running, limits)
    kept = {running[one].name for one in pairs.values()}
    failed = tuple(one for one in running if one.failed)
    leave = tuple(one for one in running if one.name not in kept and not one.failed)
    missing = [replica for index, replica in enumerate(replicas) if index not in pairs]
    return Matched(
        keep=tuple(running[pairs[index]] for index in sorted(pairs)),
        leave=leave,
        failed=failed,
        start=_moves(_named(missing, {one.name for one in running}), leave),
    )


def _pairs(replicas: Sequence[Replica], running: Sequence[ObservedReplica]) -> dict[int, int]:
    """By index of a wanted replica, the index of the running one that stays for it: as many as can,
    and of several those whose shares differ least.
    """
    wanted_at: defaultdict[Key, list[int]] = defaultdict(list)
    running_at: defaultdict[Key, list[int]] = defaultdict(list)
    for index, replica in enumerate(replicas):
        wanted_at[_key(replica)].append(index)
    for index, one in enumerate(running):
        if may_stay(one):
            running_at[_key(one.replica)].append(index)
    found: dict[int, int] = {}
    for key in wanted_at.keys() & running_at.keys():
        rows, columns = wanted_at[key], running_at[key]
        costs = np.array(
            [[_difference(running[one], replicas[index]) for one in columns] for index in rows],
            dtype=np.float64,
        )
        for row, column in cheapest_pairs(costs):
            if costs[row, column] < _UNLIKE:
                found[rows[row]] = columns[column]
    return found


_UNLIKE = 1e3
"""Cost of a pair that may not be matched: more than any sum of shares of the replicas on a GPU."""

_ORDER = {"ready": 0.0, "draining": 1e-9, "drained": 1e-9, "starting": 2e-9, "sleeping": 3e-9}
"""Of replicas with the same shares, those stay that serve soonest."""


def _difference(one: ObservedReplica, wanted: Replica) -> float:
    if not near(one.replica, wanted):
        return _UNLIKE
    waits = 0.0 if one.routed else 0.5e-9
    return difference(one.replica, wanted) + waits + _ORDER.get(one.state, 0.0)


def _key(replica: Replica) -> Key:
    return replica.llm, replica.tp, gpus_of(replica)


def _that_fit(
    replicas: Sequence[Replica],
    pairs: dict[int, int],
    running: Sequence[ObservedReplica],
    limits: Limits,
) -> dict[int, int]:
    """The pairs without those that are a little larger than the plan has them on a GPU that has no
    room for that. Those with the largest difference are left out first.
    """
    ledger = Ledger(limits.gpus)
    for index, replica in enumerate(replicas):
        ledger.take(parts_of(running[pairs[index]].replica if index in pairs else replica))
    left = dict(pairs)
    order = sorted(pairs, key=lambda i: -difference(running[pairs[i]].replica, replicas[i]))
    for index in order:
        one, replica = running[pairs[index]].replica, replicas[index]
        overdrawn = {gpu for gpu, *_ in ledger.overdrawn()}
        if overdrawn & gpus_of(one) and difference(one, replica) > 0:
            ledger.give_back(parts_of(one))
            ledger.take(parts_of(replica))
            del left[index]
    return left


def _named(missing: Sequence[Replica], running: set[str]) -> list[Replica]:
    """The replicas under names that nothing that runs has: those of the plan where they are free,
    otherwise the LLM's next free one.
    """
    taken = running | {replica.replica for replica in missing}
    named: list[Replica] = []
    for replica in missing:
        name, number = replica.replica, 0
        if name in running:
            while name in taken:
                name, number = f"{replica.llm}-{number}", number + 1
            taken.add(name)
        named.append(msgspec.structs.replace(replica, replica=name))
    return named


def _moves(missing: Sequence[Replica], leave: Sequence[ObservedReplica]) -> tuple[Start, ...]:
    """The starts, each with the leaving replica of its LLM whose place it takes: as many as there
    are, and on the same nodes where possible.
    """
    replaces: dict[str, str] = {}
    for llm in {replica.llm for replica in missing}:
        new = [replica for replica in missing if replica.llm == llm]
        old = [one for one in leave if one.replica.llm == llm]
        costs = np.array([[_distance(one.replica, replica) for one in old] for replica in new])
        if old:
            for row, column in cheapest_pairs(costs):
                replaces[new[row].replica] = old[column].name
    return tuple(Start(replica, replaces.get(replica.replica)) for replica in missing)


def _distance(old: Replica, new: Replica) -> float:
    """Number of the new replica's GPUs on other nodes, and less for other GPUs of these nodes."""
    nodes = {part.node for part in old.slices}
    elsewhere = sum(part.node not in nodes for part in new.slices)
    return elsewhere + 0.01 * len(gpus_of(new) - gpus_of(old))
