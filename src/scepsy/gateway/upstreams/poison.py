"""Calls after which replicas died: they are not sent to further ones (pure)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

REPLICAS_MAX = 2
"""Replicas that may die after the same call. One may die for any reason."""

QUARANTINE = 60.0
"""Seconds for which a call is refused after it was the last thing that this many replicas saw."""

_KNOWN_MAX = 4096  # calls that are remembered


@dataclass(slots=True)
class PoisonWatch:
    """Remembers which replicas lost which calls. Clients send a failed call again, some of them for
    ever, so that a bound for each call does not protect the replicas.

    A call is known by a digest of its content. Times are seconds of a monotonic clock.
    """

    _lost: OrderedDict[bytes, tuple[float, frozenset[str]]] = field(
        default_factory=OrderedDict[bytes, tuple[float, frozenset[str]]]
    )

    def __bool__(self) -> bool:
        """Whether any call is remembered. If none is, no digest is needed."""
        return bool(self._lost)

    def lost(self, call: bytes, replica: str, now: float) -> None:
        """The replica hung, or lost its connection, while it had this call."""
        before, replicas = self._lost.pop(call, (now, frozenset[str]()))
        known = replicas if now - before < QUARANTINE else frozenset[str]()
        self._lost[call] = now, known | {replica}
        if len(self._lost) > _KNOWN_MAX:
            self._lost.popitem(last=False)

    def answered(self, call: bytes) -> None:
        """A replica has answered this call to its end."""
        self._lost.pop(call, None)

    def refused_for(self, call: bytes, now: float) -> float | None:
        """Seconds for which the call is refused; None if it may be sent."""
        while self._lost and now - next(iter(self._lost.values()))[0] >= QUARANTINE:
            self._lost.popitem(last=False)
        since, replicas = self._lost.get(call, (now, frozenset[str]()))
        return since + QUARANTINE - now if len(replicas) >= REPLICAS_MAX else None
