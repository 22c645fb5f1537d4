"""Computes what must change to get from the running replicas to those of a plan, and in which order
(pure).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from scepsy.core.plan import Replica
from scepsy.hardware.startable import SHARE_TOLERANCE


@dataclass(frozen=True, slots=True)
class Changes:
    """Replicas to start, to stop and to keep. Those that run already have their running names."""

    start: tuple[Replica, ...]
    stop: tuple[Replica, ...]
    keep: tuple[Replica, ...]

    @property
    def none(self) -> bool:
        return not self.start and not self.stop


def diff(
    running: Sequence[Replica], wanted: Sequence[Replica], outdated: Collection[str] = ()
) -> Changes:
    """The changes from the `running` replicas to the `wanted` ones.

    A replica is kept when the plan wants the same LLM at the same size on the same GPUs, whatever
    its name, and its name is not in `outdated`. Outdated replicas are those that would now be
    started differently.

    `diff(x, x)` changes nothing, and neither does a diff after its own changes. A started replica
    never takes the name of one that is kept or stopped.
    """
    unmatched = [replica for replica in running if replica.replica not in outdated]
    start: list[Replica] = []
    keep: list[Replica] = []
    for replica in wanted:
        same = next((other for other in unmatched if _same(other, replica)), None)
        if same is None:
            start.append(replica)
        else:
            unmatched.remove(same)
            keep.append(same)
    taken = {replica.replica for replica in running}
    named = tuple(_renamed(replica, taken) for replica in start)
    stop = tuple(replica for replica in running if replica not in keep)
    return Changes(start=named, stop=stop, keep=tuple(keep))


def stopped_first(changes: Changes) -> tuple[Replica, ...]:
    """The superfluous replicas whose memory the new ones need, so that they must stop before the
    new ones start. All others may serve until the new ones do.

    A superfluous replica may stay only if each of its GPUs has memory for it in addition to the
    replicas that are kept and started. Of several that could stay, those with the most
    compute do.
    """
    contested = {(part.node, part.gpu) for new in changes.start for part in new.slices}
    memory: defaultdict[tuple[str, int], float] = defaultdict(float)
    for replica in (*changes.keep, *changes.start):
        for part in replica.slices:
            memory[part.node, part.gpu] += part.memory_share
    first: list[Replica] = []
    for replica in sorted(changes.stop, key=lambda one: -one.tp * one.gpu_share):
        needed = {(part.node, part.gpu): part.memory_share for part in replica.slices}
        if any(
            memory[gpu] + needed[gpu] > 1.0 + SHARE_TOLERANCE for gpu in contested & set(needed)
        ):
            first.append(replica)
            continue
        for gpu, share in needed.items():
            memory[gpu] += share
    return tuple(first)


def _same(one: Replica, other: Replica) -> bool:
    return one.llm == other.llm and one.tp == other.tp and one.slices == other.slices


def _renamed(replica: Replica, taken: set[str]) -> Replica:
    number, name = 0, replica.replica
    while name in taken:
        name = f"{replica.llm}-{number}"
        number += 1
    taken.add(name)
    return Replica(replica=name, llm=replica.llm, tp=replica.tp, slices=replica.slices)
