"""`scepsy ray up`: the commands that start a Ray cluster for plans."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from scepsy.cli.descriptions import cluster_of
from scepsy.cli.inputs import cluster_option
from scepsy.cli.output import emit_json, json_option
from scepsy.deploy.ray.starting import STORAGE, StartLine, start_lines
from scepsy.errors import BadInput, NotFound


@click.group("ray")
def command() -> None:
    """Ray clusters whose GPUs Scepsy gives out by name."""


@command.command("up")
@cluster_option
@click.option(
    "--head",
    required=True,
    metavar="HOST[:PORT]",
    help="Address of the machine on which Ray's head runs, as the nodes reach it.",
)
@click.option(
    "--storage",
    default=STORAGE,
    show_default=True,
    help="Folder on the head in which the cluster's state survives a restart.",
)
@click.option(
    "--run",
    "machine",
    metavar="NAME",
    default=None,
    help="Run the line of this node on this machine, or that of `head`, instead of printing all.",
)
@json_option
def up(cluster_path: Path, head: str, storage: str, machine: str | None, as_json: bool) -> None:
    """Print the line that starts Ray on each machine of a cluster.

    Every GPU becomes a resource of its own, so that a deployment gets exactly the GPUs that its
    plan names. Ray asks for a token: make one with `ray get-auth-token --generate` on the head, and
    copy ~/.ray/auth_token to every machine.
    """
    lines = start_lines(cluster_of(cluster_path), head, storage=storage)
    if machine is not None:
        _become(_line_of(lines, machine))
    if as_json:
        emit_json([{"machine": one.machine, "env": one.env, "argv": one.argv} for one in lines])
        return
    click.echo("# Once, on the head; then copy ~/.ray/auth_token to every machine:")
    click.echo("RAY_AUTH_MODE=token ray get-auth-token --generate")
    for line in lines:
        where = "the head" if line.machine == "head" else line.machine
        click.echo(f"\n# On {where}:\n{line}")
    click.echo(
        f"\n# Then, on any of the machines:\nscepsy deploy PLAN --on ray --address {_shown(head)}"
    )


def _shown(head: str) -> str:
    """The address that the nodes connect to, with its port."""
    return head if ":" in head else f"{head}:6379"


def _line_of(lines: tuple[StartLine, ...], machine: str) -> StartLine:
    for line in lines:
        if line.machine == machine:
            return line
    known = ", ".join(line.machine for line in lines)
    raise BadInput(f"--run: there is no machine {machine!r}; the cluster has {known}")


def _become(line: StartLine) -> None:
    """Replaces this process by the line's command."""
    if shutil.which(line.argv[0]) is None:
        raise NotFound(
            "the command `ray` is not installed on this machine: pip install 'scepsy[ray]'"
        )
    os.execvpe(line.argv[0], line.argv, {**os.environ, **line.env})
