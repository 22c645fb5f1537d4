"""`scepsy down`: stops a deployment."""

from __future__ import annotations

import asyncio

import click

from scepsy.cli.inputs import name_option
from scepsy.cli.output import emit_json, json_option
from scepsy.cli.places import Place, place_options
from scepsy.cli.terminal import echo
from scepsy.cli.waves import grace_option, wrapped
from scepsy.deploy.wording import cut_text
from scepsy.errors import CallsCut


@click.command("down")
@place_options
@name_option
@grace_option
@json_option
def command(place: Place, name: str, grace: float, as_json: bool) -> None:
    """Stop the gateway and every engine of a deployment, and forget it.

    Calls in flight may finish first. The exit code is 9 when some had to be cut.
    """
    done = asyncio.run(place.backend().down(name, grace=grace))
    if as_json:
        emit_json(done)
    else:
        for cut in done.cut:
            echo(wrapped(cut_text(cut.replica or "the gateway", cut.calls, grace)))
        what = "processes" if place.backend_name == "local" else "pods"
        echo(f"{name}: {done.stopped} {what} stopped")
    if done.cut:
        click.get_current_context().exit(CallsCut.exit_code)
