"""Tells a hung replica from a busy one: whether it sends bytes, or answers its health check (pure).

A replica that hangs (a deadlock, SIGSTOP, a machine that thrashes) keeps its connections open. A
busy one may take minutes to the first byte of an answer, but its health check is answered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WaitLimits:
    """Seconds; `GatewayConfig` says what they mean."""

    first_byte_probe: float
    silence_probe: float
    hung_after: float
    first_byte_max: float
    silence_max: float


@dataclass(frozen=True, slots=True)
class Waits:
    """When the oldest calls of a replica began to wait for the bytes that they wait for now, and
    when it last sent any, in seconds of a monotonic clock. `first` is infinite if no call waits for
    the first bytes of its answer, `next` if none waits for further ones.
    """

    first: float = math.inf
    next: float = math.inf
    heard: float = -math.inf


@dataclass(slots=True)
class ReplicaVitals:
    """What is known of a replica's life.

    Attributes:
        silent_since: when the first health check was asked that has not been answered; None if the
            last one was.
    """

    silent_since: float | None = None
    _answered: float = -math.inf

    def asks(self, waits: Waits, limits: WaitLimits, now: float) -> bool:
        """Whether calls have waited so long that the replica's health has to be asked."""
        heard = max(waits.heard, self._answered)
        return (
            now - max(waits.first, heard) >= limits.first_byte_probe
            or now - max(waits.next, heard) >= limits.silence_probe
        )

    def answered(self, now: float) -> None:
        """A health check was answered, with whatever status: the replica does not hang."""
        self._answered, self.silent_since = now, None

    def missed(self, asked: float) -> None:
        """The health check that was begun at `asked` was not answered."""
        if self.silent_since is None:
            self.silent_since = asked

    def hangs(self, waits: Waits, limits: WaitLimits, now: float) -> bool:
        """Whether the calls that wait have to be taken away from it."""
        since = self.silent_since
        if since is None or min(waits.first, waits.next) == math.inf:
            return False
        if waits.heard > since:
            self.silent_since = None
            return False
        # A call that was sent later, as a last resort, waits as long as the first one did.
        begun = max(since, min(waits.first, waits.next))
        return now - begun >= limits.hung_after
