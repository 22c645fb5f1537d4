"""`scepsy status`: what a deployment is doing; exit code 6 when some of it is not."""

from __future__ import annotations

import asyncio
from textwrap import indent

import click

from scepsy.cli.inputs import name_option
from scepsy.cli.output import console, emit_json, json_option, table
from scepsy.cli.places import Place, place_options
from scepsy.deploy import Status
from scepsy.errors import EngineFailed


@click.command("status")
@place_options
@name_option
@json_option
def command(place: Place, name: str, as_json: bool) -> None:
    """Every replica's state and counts.

    The exit code is 6 when the gateway or a replica is not ready.
    """
    status = asyncio.run(place.backend().status(name))
    if as_json:
        emit_json(status)
    else:
        print_status(status)
    if not status.healthy:
        click.get_current_context().exit(EngineFailed.exit_code)


def print_status(status: Status) -> None:
    """A table of replicas, then what is wrong, with the last words of engines that do not serve."""
    rows = [
        (
            replica.replica,
            replica.size,
            " ".join(replica.gpus),
            replica.state,
            "?" if replica.in_flight is None else replica.in_flight,
            "?" if replica.served is None else replica.served,
            "?" if replica.failed is None else replica.failed,
            "-" if replica.pid is None else replica.pid,
        )
        for replica in status.replicas
    ]
    columns = ("replica", "size", "GPUs", "state", "in flight", "served", "failed", "pid")
    screen = console()
    screen.print(table(f"{status.name}: gateway {status.gateway} at {status.url}", columns, rows))
    for replica in status.replicas:
        if replica.restarts:
            times = "once" if replica.restarts == 1 else f"{replica.restarts} times"
            screen.print(
                f"- {replica.replica} was restarted {times}", markup=False, highlight=False
            )
    for note in status.notes:
        screen.print(f"- {note}", markup=False, highlight=False)
    for replica in status.replicas:
        if replica.last_words:
            screen.print(f"\n{replica.replica} is {replica.state}; the end of its log:")
            screen.print(indent(replica.last_words, "  "), markup=False, highlight=False)
