"""Which store of API keys commands use."""

from __future__ import annotations

import click

from scepsy.cli.inputs import state_directory

store_option = click.option(
    "--keys-store",
    "store",
    envvar="SCEPSY_KEYS_STORE",
    metavar="URL",
    help="Database of API keys: sqlite:///PATH, or postgresql://USER@HOST/DATABASE for several "
    "gateways.  [default: $SCEPSY_KEYS_STORE or keys.db in the state folder]",
)


def store_url(given: str | None) -> str:
    """The URL that was given, or that of the file in the state folder."""
    return given or f"sqlite:///{(state_directory(None) / 'keys.db').absolute()}"
