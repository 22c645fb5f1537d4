"""What every command shares in printing: `--json`, tables, progress."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import click
import msgspec
from rich import progress
from rich.console import Console
from rich.table import Table

json_option: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for programs instead of text for people."
)


def emit_json(value: object) -> None:
    """Prints any record, or container of records, as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def console() -> Console:
    """Standard output, as wide as the terminal; at least 100 columns where there is none."""
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=max(screen.width, 120))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """First column left, all others right."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    return made


def seconds(value: float | None) -> str:
    """A duration for people: three digits and a unit; a dash where there is none."""
    if value is None:
        return "-"
    if value < 1e-3:
        return f"{value * 1e6:.0f} us"
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


@contextmanager
def bar(what: str, *, quiet: bool) -> Generator[Callable[[float], None]]:
    """Shows which part of `what` is done, as it is told; to a terminal only."""
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
