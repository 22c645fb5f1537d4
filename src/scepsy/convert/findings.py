"""Records and values that an import could not use, by reason, with their number and places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

PLACES_SHOWN = 3
"""Places listed per reason: enough to look one up, few enough to read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A reason for which an import left out records or took values as unknown.

    Attributes:
        reason: words that can end a sentence.
        count: number of records or values.
        places: file and position of the first of them.
    """

    reason: str
    count: int
    places: tuple[str, ...]

    def __str__(self) -> str:
        if self.count == 1:
            return f"{self.places[0]}: {self.reason}"
        more = ", ..." if self.count > len(self.places) else ""
        return f"{self.count} times: {self.reason} ({', '.join(self.places)}{more})"


@dataclass(slots=True)
class Findings:
    """Collects findings while records are read. Mutable: readers of records share one."""

    _left_out: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _doubted: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def leave_out(self, reason: str, place: str) -> None:
        """Notes a record that cannot be used at all."""
        self._left_out[reason].append(place)

    def doubt(self, reason: str, place: str) -> None:
        """Notes a value that is taken as unknown; the rest of its record counts."""
        self._doubted[reason].append(place)

    @property
    def left_out(self) -> tuple[Finding, ...]:
        return tuple(_summary(self._left_out))

    @property
    def doubted(self) -> tuple[Finding, ...]:
        return tuple(_summary(self._doubted))


def _summary(places: defaultdict[str, list[str]]) -> Iterator[Finding]:
    for reason, found in places.items():
        yield Finding(reason, len(found), tuple(found[:PLACES_SHOWN]))
