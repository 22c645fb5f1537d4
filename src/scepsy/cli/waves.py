"""How long calls may take to finish in a change of a deployment, and how its waves are printed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import click

from scepsy.cli.number_types import FiniteRange
from scepsy.cli.output import emit_json
from scepsy.cli.terminal import echo
from scepsy.gateway.config import GRACE

grace_option = click.option(
    "--grace",
    type=FiniteRange(0, 86400),
    default=GRACE,
    show_default=True,
    metavar="SECONDS",
    help="Seconds in which calls in flight may finish before their replica is stopped.",
)


def print_waves(waves: Sequence[str], *, as_json: bool) -> None:
    """What a deployment would do."""
    if as_json:
        emit_json({"waves": waves})
        return
    for wave in waves:
        echo(wrapped(wave))
    if not waves:
        echo("nothing to change")


def wrapped(sentence: str) -> str:
    """The sentence, on lines of at most 80 columns."""
    return textwrap.fill(sentence, 80, subsequent_indent="  ", break_on_hyphens=False)
