"""The circuit breaker of one replica: whether calls may be sent to it (pure)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

BreakerState = Literal["closed", "open", "half-open"]

FAILURES_MAX = 5
"""Failed answers in a row after which no calls are sent to a replica."""

WAIT_MIN = 1.0
"""Seconds until the first trial after failed answers: a health check does not see such failures."""

WAIT_MAX = 30.0
"""Longest time in seconds between two trials."""

TRIAL_MAX = 1.0
"""Seconds after which a trial counts as passed if the replica is healthy. An answer that is not
streamed may take minutes, and the replica's capacity is missing meanwhile.
"""


@dataclass(slots=True)
class Breaker:
    """Times are seconds of a monotonic clock.

    - closed: calls are sent. One lost connection opens it, because the replica may be dead, or
      FAILURES_MAX failed answers in a row.
    - open: no calls are sent. When its wait is over, the next successful health check makes it
      half-open.
    - half-open: one call is sent, as a trial. An answer closes it. A failure opens it again for
      twice as long.

    An answer closes it in every state: it proves more than any health check.
    """

    state: BreakerState = "closed"
    _failures: int = 0
    _wait: float = 0.0
    _until: float = -math.inf
    _trial: float | None = None

    @property
    def allows(self) -> bool:
        """Whether the next call may be sent."""
        return self.state == "closed" or (self.state == "half-open" and self._trial is None)

    def sent(self, now: float) -> bool:
        """A call is sent. Returns whether it is the trial, on whose outcome others wait."""
        if self.state != "half-open" or self._trial is not None:
            return False
        self._trial = now
        return True

    def answered(self) -> None:
        """A call was answered."""
        self.state, self._failures, self._wait, self._trial = "closed", 0, 0.0, None

    def failed(self, now: float) -> None:
        """A call got an answer that says that the replica failed."""
        self._failures += 1
        if self.state == "half-open" or (self.state == "closed" and self._failures >= FAILURES_MAX):
            self._open(now, max(WAIT_MIN, 2 * self._wait))

    def lost(self, now: float) -> None:
        """It cannot be connected to, has lost a connection, or hangs."""
        if self.state == "closed":
            self._open(now, self._wait)
        elif self.state == "half-open":
            self._open(now, max(WAIT_MIN, 2 * self._wait))

    def trial_ended(self) -> None:
        """The trial ended without a verdict, for example because its caller left."""
        self._trial = None

    def probed(self, now: float, *, healthy: bool) -> None:
        """The result of a health check; always healthy for a replica that has none."""
        if self.state == "open" and healthy and now >= self._until:
            self.state = "half-open"
        elif self.state == "half-open" and not healthy:
            self._open(now, self._wait)
        elif (
            self.state == "half-open" and self._trial is not None and now - self._trial >= TRIAL_MAX
        ):
            # Still on probation: one more failure opens it.
            self.state, self._trial, self._failures = "closed", None, FAILURES_MAX - 1

    def _open(self, now: float, wait: float) -> None:
        self.state, self._trial = "open", None
        self._wait = min(wait, WAIT_MAX)
        self._until = now + self._wait
