"""What every command shares in printing: `--json`, tables, progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager

import click
import msgspec
from rich import progress
from rich.console import Console

from scepsy.cli.tables import FittingTable
from scepsy.report.wording import seconds

__all__ = ["bar", "console", "emit_json", "json_option", "seconds", "table"]

PIPE_COLUMNS = 120
"""Width of output that goes to no terminal, unless $COLUMNS says otherwise."""

json_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for programs instead of text for people."
)


def emit_json(value: object) -> None:
    """Prints any record, or container of records, as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def console() -> Console:
    """Standard output. It is as wide as the terminal, or as $COLUMNS says; where there is neither,
    as in a pipe, it is at least 120 columns wide.
    """
    screen = Console(highlight=False)
    if screen.is_terminal or "COLUMNS" in os.environ:
        return screen
    return Console(highlight=False, width=max(screen.width, PIPE_COLUMNS))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> FittingTable:
    """First column left, all others right. Where it is too wide, it is printed in parts."""
    cells = tuple(tuple(str(cell) for cell in row) for row in rows)
    return FittingTable(title, tuple(columns), cells)


@contextmanager
def bar(what: str, *, quiet: bool) -> Generator[Callable[[float], None]]:
    """Shows the part of `what` that is done, as the caller reports it; on a terminal only."""
    screen = Console(stderr=True)
    shown = progress.Progress(
        progress.TextColumn(what),
        progress.BarColumn(),
        progress.TimeRemainingColumn(),
        console=screen,
        disable=quiet or not screen.is_terminal,
    )
    task = shown.add_task("", total=1.0)
    with shown:
        yield lambda part: shown.update(task, completed=part)
