"""What an import could not use: each thing once by its reason, with how often and where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

PLACES_SHOWN = 3
"""Places named per reason: enough to look at, few enough to read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that an import left out or did not believe.

    Attributes:
        reason: why, as the end of a sentence.
        count: how many records or values it concerns.
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
        """A record that gives neither a call nor anything else."""
        self._left_out[reason].append(place)

    def doubt(self, reason: str, place: str) -> None:
        """A value that is taken as unknown; the rest of its record counts."""
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
