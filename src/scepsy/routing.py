"""Which replica takes the next call; the gateway and the simulator both ask here."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol


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

    The least loaded one, counting this call, relative to its capacity. Between equals, calls with
    the same `affinity` (those of one run, which share prompt prefixes) go to the same replica by
    rendezvous hashing, so few move when a replica comes or goes; calls without go round by `turn`.
    `tried` names replicas that have failed this call.
    """
    loads = [
        (one.in_flight + 1) / one.capacity if one.healthy and one.replica not in tried else math.inf
        for one in replicas
    ]
    least = min(loads, default=math.inf)
    if least == math.inf:
        return None
    equals = [index for index, load in enumerate(loads) if load == least]
    if affinity is None or len(equals) == 1:
        return equals[turn % len(equals)]
    return max(equals, key=lambda index: _weight(affinity, replicas[index].replica))


def _weight(affinity: str, replica: str) -> bytes:
    """Rendezvous weight: uniform for each pair, and independent between replicas."""
    return blake2b(f"{affinity}\0{replica}".encode(), digest_size=8).digest()
