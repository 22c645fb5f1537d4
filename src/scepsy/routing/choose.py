"""Chooses the replica for a call, and the call's priority in that replica's queue.

The gateway and the simulator both call these functions.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol

# A call follows its run's prefix cache to any replica whose load is at most
# LOAD_FACTOR_MAX x (least load) + EXTRA_CALLS_MAX.
LOAD_FACTOR_MAX = 2.0  # dimensionless
EXTRA_CALLS_MAX = 2.0  # calls in flight, for a replica of capacity 1

_WORD = (1 << 64) - 1  # arithmetic modulo 2^64
FACTORS = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of the finaliser of splitmix64
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
    """The state of a replica when a call is routed.

    Attributes:
        replica: its name.
        in_flight: calls that were sent to it and are not answered yet.
        capacity: its speed relative to the other replicas of the same LLM; positive.
        healthy: whether calls may be sent to it.
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
    """Index of the replica that gets the next call; None if every replica is unhealthy or tried.

    The load of a replica is its calls in flight, including this one, divided by its capacity. A
    call without `affinity` goes to the least loaded replica; equally loaded ones take turns. Calls
    with the same `affinity` (the calls of one run, which share prompt prefixes) go to the same
    replica, chosen by rendezvous hashing among the replicas whose load is close to the least. So
    the calls find their prefixes cached, loads stay close to each other, and few calls move when a
    replica is added or removed. `tried` names replicas on which this call has failed already.
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
    """Index of the replica that the hash prefers among the replicas whose load is close to the
    least.
    """
    run, most = digest(affinity), LOAD_FACTOR_MAX * least + EXTRA_CALLS_MAX
    best, highest = 0, -1
    for index, load in enumerate(loads):
        if load <= most and (weight := _mixed(run ^ digests[index])) > highest:
            best, highest = index, weight
    return best


def priority(began: float) -> int:
    """The call's priority in its replica's queue, where lower values go first.

    `began` is the time in seconds when the call's run was first seen; for a call of no known run,
    when the call arrived. Only calls of older runs overtake a waiting call, so none starves.
    """
    return round(began * 1000)


@lru_cache(maxsize=1 << 14)
def digest(name: str) -> int:
    """A 64-bit hash of a name."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _mixed(value: int) -> int:
    """Rendezvous weight of a run's digest xor a replica's: every bit of the result depends on every
    bit of the value (the finaliser of splitmix64).
    """
    value = (value ^ value >> 30) * _FIRST & _WORD
    value = (value ^ value >> 27) * _SECOND & _WORD
    return value ^ value >> 31
