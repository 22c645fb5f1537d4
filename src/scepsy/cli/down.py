"""`scepsy down`: stops a deployment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from scepsy.cli.inputs import name_option, state_directory, state_option
from scepsy.cli.output import emit_json, json_option
from scepsy.deploy import LocalBackend


@click.command("down")
@name_option
@state_option
@json_option
def command(name: str, state: Path | None, as_json: bool) -> None:
    """Stop the gateway and every engine of a deployment, and forget it."""
    stopped = asyncio.run(LocalBackend(state_directory(state)).down(name))
    if as_json:
        emit_json({"name": name, "stopped": stopped})
    else:
        click.echo(f"{name}: {stopped} processes stopped")
