"""Tables that keep every head and every number, however narrow the terminal is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_FRAMES = (3, 2, 1)
"""Characters of frame and padding that a column costs: a line and a space on either side, a space
on the left only, or none. The first with which the table fits in one piece is taken."""

_UNBROKEN = 16
"""Cells up to this length stay on one line; longer ones may break between words."""


@dataclass(frozen=True, slots=True)
class FittingTable:
    """A titled table. Where the terminal is narrower than the table, the columns are shown in
    several parts, each of which repeats the first column; nothing is cut off. Rather than that,
    the spaces within its frame are left out.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        everything = range(len(self.columns))
        frames = (frame for frame in _FRAMES if self._needed(everything, frame) <= width)
        frame = next(frames, _FRAMES[0])
        parts = list(self._parts(width, frame))
        for number, part in enumerate(parts, start=1):
            count = f" (part {number} of {len(parts)})" if len(parts) > 1 else ""
            yield Text(self.title + count, style="bold")
            yield self._table(part, width, frame)

    def _needed(self, part: Iterable[int], frame: int) -> int:
        """Characters of the narrowest table of these columns."""
        return 1 + sum(self._least(column) + frame for column in part)

    def _parts(self, width: int, frame: int) -> Iterator[list[int]]:
        """Which columns stand beside one another."""
        part = [0]
        for column in range(1, len(self.columns)):
            if self._needed((*part, column), frame) > width and len(part) > 1:
                yield part
                part = [0]
            part.append(column)
        yield part

    def _table(self, part: Sequence[int], width: int, frame: int) -> Table:
        made = Table(header_style="bold", padding=(0, int(frame > 2), 0, int(frame > 1)))
        for column, cells in zip(part, self._widths(part, width, frame), strict=True):
            justify = "right" if column else "left"
            made.add_column(self.columns[column], justify=justify, width=cells, overflow="fold")
        for row in self.rows:
            made.add_row(*(row[column] for column in part))
        return made

    def _widths(self, part: Sequence[int], width: int, frame: int) -> list[int]:
        """Characters for each column: what it needs at least, and what is left over in order."""
        room = width - 1 - frame * len(part)
        least = [self._least(column) for column in part]
        spare = max(0, room - sum(least))
        found: list[int] = []
        for column, needed in zip(part, least, strict=True):
            more = min(spare, self._most(column) - needed)
            spare -= more
            found.append(needed + more)
        if sum(found) > room:  # the first column alone may be too long: it breaks
            found[0] = max(1, found[0] - (sum(found) - room))
        return found

    def _texts(self, column: int) -> Iterator[str]:
        yield self.columns[column]
        yield from (row[column] for row in self.rows)

    def _most(self, column: int) -> int:
        return max(map(len, self._texts(column)))

    def _least(self, column: int) -> int:
        head = max(map(len, self.columns[column].split()), default=1)
        cells = (row[column] for row in self.rows)
        return max([head, *(_unbroken(cell) for cell in cells)])


def _unbroken(cell: str) -> int:
    """The longest piece of a cell that must not be broken."""
    return len(cell) if len(cell) <= _UNBROKEN else max(map(len, cell.split()), default=1)
