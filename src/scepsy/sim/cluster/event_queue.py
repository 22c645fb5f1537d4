"""What happens when, in simulated time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


class EventQueue:
    """Actions by (time, number): who was entered first goes first among those of one moment, so a
    run of the simulation is one order of events and no other.

    Nothing is ever taken off: whose action has become void notices that itself.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._number = 0
        self._entries: list[tuple[float, int, Callable[..., None], object]] = []

    def at(self, time: float, action: Callable[[_T], None], argument: _T) -> None:
        """Do `action(argument)` at `time`, which is not before `now`."""
        self._number += 1
        heapq.heappush(self._entries, (time, self._number, action, argument))

    def run(self) -> None:
        """Until nothing is left to do."""
        entries, pop = self._entries, heapq.heappop
        while entries:
            self.now, _, action, argument = pop(entries)
            action(argument)
