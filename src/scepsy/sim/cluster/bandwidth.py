"""Memory bandwidth of a GPU that several engines use at once."""

from __future__ import annotations

from typing import Protocol


class Reader(Protocol):
    def repace(self) -> None:
        """Called when the bandwidth that is left for the reader has changed."""
        ...


class Bandwidth:
    """`wanted` is the sum of the fractions of the bandwidth that the engines on the GPU draw.

    MPS limits multiprocessors, not memory traffic. If the sum exceeds 1, the memory time of every
    engine is multiplied by the sum (processor sharing).
    """

    def __init__(self) -> None:
        self.wanted = 0.0
        self._draws: dict[Reader, float] = {}

    def join(self, reader: Reader) -> None:
        self._draws[reader] = 0.0

    def draw(self, reader: Reader, part: float) -> None:
        """From now on `reader` draws this fraction. The other readers are notified if that changes
        their speed.
        """
        before = self.wanted
        self._draws[reader] = part
        self.wanted = sum(self._draws.values())
        if self.wanted != before and max(self.wanted, before) > 1.0:
            for other in self._draws:
                if other is not reader:
                    other.repace()
