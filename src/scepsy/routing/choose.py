"""Which replica takes the next call, and where in its queue; the gateway and the simulator both ask
here.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol

NEAR, NEAR_CALLS = 2.0, 2.0
"""A replica is near enough to the least loaded one while its load is at most so many times that
one's, and so many calls more.
"""

_WORD = (1 << 64) - 1
FACTORS = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_FIRST, _SECOND = FACTORS


class Loaded(Protocol):
    """A replica as `choose` sees it; `ReplicaLoad` says what the attributes mean."""

    @property
    def replica(self) -> str: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def capacity(self) -> float: ...
    @property
    def healthy(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ReplicaLoad:
    """What is known of a replica when a call is to be placed.

    Attributes:
        replica: its name.
        in_flight: calls sent to it and not yet answered.
        capacity: its speed relative to the other replicas of the same LLM; positive.
        healthy: whether it may be sent anything.
    """

    replica: str
    in_flight: int
    capacity: float = 1.0
    healthy: bool = True


def choose(
    replicas: Sequence[Loaded],
    *,
    affinity: str | None = None,
    turn: int = 0,
    tried: Collection[str] = (),
) -> int | None:
    """Index of the replica that gets the next call; None when none may.

    Load is calls in flight, this one included, relative to capacity. A call without `affinity`
    goes to the least loaded replica, in turns where several are. Calls with the same `affinity`
    (those of one run, which share prompt prefixes) go to the same replica by rendezvous hashing,
    among those that are near enough to the least loaded: so they find their prefixes cached, no
    replica gets far ahead of another, and few calls move when a replica comes or goes. `tried`
    names replicas that have failed this call.
    """
    loads = [
        (one.in_flight + 1) / one.capacity if one.healthy and one.replica not in tried else math.inf
        for one in replicas
    ]
    least = min(loads, default=math.inf)
    if least == math.inf:
        return None
    if affinity is None:
        equals = [index for index, load in enumerate(loads) if load == least]
        return equals[turn % len(equals)]
    return nearest(loads, [digest(one.replica) for one in replicas], least, affinity)


def nearest(loads: Sequence[float], digests: Sequence[int], least: float, affinity: str) -> int:
    """Of those that are near enough to the least loaded, the one that the hash prefers."""
    run, most = digest(affinity), NEAR * least + NEAR_CALLS
    best, highest = 0, -1
    for index, load in enumerate(loads):
        if load <= most and (weight := _mixed(run ^ digests[index])) > highest:
            best, highest = index, weight
    return best


def priority(began: float) -> int:
    """Where a call stands in its replica's queue, the lower first: earlier runs go first.

    `began` is when the call's run was first heard of, in seconds; for a call of no known run, when
    it came itself. Whoever waits is overtaken only by runs that are older, so nobody starves.
    """
    return round(began * 1000)


@lru_cache(maxsize=1 << 14)
def digest(name: str) -> int:
    """64 bits of a name."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _mixed(value: int) -> int:
    """Rendezvous weight of a run's digest with a replica's: 64 bits that all depend on all of them
    (the finaliser of splitmix64).
    """
    value = (value ^ value >> 30) * _FIRST & _WORD
    value = (value ^ value >> 27) * _SECOND & _WORD
    return value ^ value >> 31
