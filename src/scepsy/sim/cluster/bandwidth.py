"""Memory bandwidth of a GPU that several engines read at once."""

from __future__ import annotations

from typing import Protocol


class Reader(Protocol):
    def repace(self) -> None:
        """Look at the bandwidth again."""
        ...


class Bandwidth:
    """`wanted` is the sum of the parts of the bandwidth that the engines on the GPU draw.

    MPS caps multiprocessors, not memory traffic. So where more is wanted than there is, every
    engine's memory time stretches by the sum (processor sharing).
    """

    def __init__(self) -> None:
        self.wanted = 0.0
        self._draws: dict[Reader, float] = {}

    def join(self, reader: Reader) -> None:
        self._draws[reader] = 0.0

    def draw(self, reader: Reader, part: float) -> None:
        """From now on `reader` draws that part. The others are told where it matters to them."""
        before = self.wanted
        self._draws[reader] = part
        self.wanted = sum(self._draws.values())
        if self.wanted != before and max(self.wanted, before) > 1.0:
            for other in self._draws:
                if other is not reader:
                    other.repace()
