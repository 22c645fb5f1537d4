"""Spaces the calls to an endpoint that accepts only a certain number of calls per second."""

from __future__ import annotations

from dataclasses import dataclass

WAIT_MAX = 30.0
"""Seconds that a call may wait for its turn; if it would be longer, the call is refused."""


@dataclass(slots=True)
class RateLimit:
    """Turns that follow each other at 1 / `rate` seconds (calls per second). It has no clock."""

    rate: float
    _next: float = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until the next free turn."""
        return max(0.0, self._next - now)

    def take(self, now: float) -> float:
        """Takes the next free turn. Returns the seconds until it."""
        wait = self.wait(now)
        self._next = now + wait + 1.0 / self.rate
        return wait
