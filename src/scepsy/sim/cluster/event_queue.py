"""The queue of events in simulated time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class EventQueue:
    """Actions in order of time. Actions of the same time run in the order in which they were added,
    so that a simulation always repeats exactly.

    Events are never removed. An action that is no longer valid has to notice that itself.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._number = 0
        self._entries: list[tuple[float, int, Callable[..., None], object]] = []

    def at(self, time: float, action: Callable[[_T], None], argument: _T) -> None:
        """Schedules `action(argument)` at `time`, which must not be before `now`."""
        self._number += 1
        heapq.heappush(self._entries, (time, self._number, action, argument))

    def run(self) -> None:
        """Runs all events, including those that are added meanwhile."""
        entries, pop = self._entries, heapq.heappop
        while entries:
            self.now, _, action, argument = pop(entries)
            action(argument)
