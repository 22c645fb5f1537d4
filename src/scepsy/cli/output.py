"""What every command shares in printing: `--json`, tables, progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager

import click
import msgspec
from rich import progress
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from scepsy.cli.tables import FittingTable
from scepsy.cli.terminal import UNSAFE, escaped, escaped_json
from scepsy.report.wording import seconds

__all__ = ["PlainConsole", "bar", "console", "emit_json", "json_option", "seconds", "table"]

PIPE_COLUMNS = 120
"""Width of output that goes to no terminal, unless $COLUMNS says otherwise."""

json_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for programs instead of text for people."
)


class PlainConsole(Console):
    """A console that prints text as it is: square brackets are no markup, and what would control
    the terminal is escaped.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False, width: int | None = None):
        super().__init__(stderr=stderr, quiet=quiet, width=width, highlight=False, markup=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            safe = segment.control or not UNSAFE.search(segment.text)
            yield segment if safe else Segment(escaped(segment.text), segment.style)


def emit_json(value: object) -> None:
    """Prints any record, or container of records, as indented JSON."""
    click.echo(escaped_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))


def console() -> PlainConsole:
    """Standard output. It is as wide as the terminal, or as $COLUMNS says; where there is neither,
    as in a pipe, it is at least 120 columns wide.
    """
    screen = PlainConsole()
    if screen.is_terminal or "COLUMNS" in os.environ:
        return screen
    return PlainConsole(width=max(screen.width, PIPE_COLUMNS))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> FittingTable:
    """First column left, all others right. Where it is too wide, it is printed in parts."""
    cells = tuple(tuple(escaped(str(cell)) for cell in row) for row in rows)
    return FittingTable(escaped(title), tuple(columns), cells)


@contextmanager
def bar(what: str, *, quiet: bool) -> Generator[Callable[[float], None]]:
    """Shows the part of `what` that is done, as the caller reports it; on a terminal only."""
    screen = PlainConsole(stderr=True)
    shown = progress.Progress(
        progress.TextColumn(what, markup=False),
        progress.BarColumn(),
        progress.TimeRemainingColumn(),
        console=screen,
        disable=quiet or not screen.is_terminal,
    )
    task = shown.add_task("", total=1.0)
    with shown:
        yield lambda part: shown.update(task, completed=part)
