"""Tables that keep every head and every number, however narrow the terminal is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

_FRAME = 3
"""Characters of frame and padding that a column costs: a line and a space on either side."""

_UNBROKEN = 16
"""Cells up to this length stay on one line; longer ones may break between words."""


@dataclass(frozen=True, slots=True)
class FittingTable:
    """A titled table. Where the terminal is narrower than the table, the columns are shown in
    several parts, each of which repeats the first column; nothing is cut off.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts = list(self._parts(options.max_width))
        for number, part in enumerate(parts, start=1):
            count = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
            yield self._table(self.title + count, part, options.max_width)

    def _parts(self, width: int) -> Iterator[list[int]]:
        """Which columns stand beside one another."""
        part = [0]
        for column in range(1, len(self.columns)):
            needed = sum(self._least(one) + _FRAME for one in (*part, column)) + 1
            if needed > width and len(part) > 1:
                yield part
                part = [0]
            part.append(column)
        yield part

    def _table(self, title: str, part: Sequence[int], width: int) -> Table:
        made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
        for column, cells in zip(part, self._widths(part, width), strict=True):
            justify = "right" if column else "left"
            made.add_column(self.columns[column], justify=justify, width=cells, overflow="fold")
        for row in self.rows:
            made.add_row(*(row[column] for column in part))
        return made

    def _widths(self, part: Sequence[int], width: int) -> list[int]:
        """Characters for each column: what it needs at least, and what is left over in order."""
        room = width - 1 - _FRAME * len(part)
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
