"""The options of `scepsy deploy`, `status` and `down` that say where a deployment runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from scepsy.cli.inputs import state_directory, state_option
from scepsy.deploy import LocalBackend
from scepsy.deploy.backend import Backend
from scepsy.deploy.ray.backend import RayBackend
from scepsy.engines import EngineOptions
from scepsy.errors import BadInput

BACKENDS = ("local", "ray")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a deployment runs.

    Attributes:
        backend_name: one of `BACKENDS`.
        state: the local backend's folder; None for the usual one.
        address: of Ray's head.
        gateway_node: node of Ray on which the gateway of a new deployment runs.
    """

    backend_name: str
    state: Path | None = None
    address: str | None = None
    gateway_node: str = ""

    def backend(self, options: EngineOptions | None = None) -> Backend:
        """The backend; `options` are those of engines that are started from now on. Raises BadInput
        where an option is missing.
        """
        engines = options or EngineOptions()
        if self.backend_name == "local":
            return LocalBackend(state_directory(self.state), engines)
        if not self.address:
            raise BadInput(
                "--on ray needs --address, the address of Ray's head that `scepsy ray up` printed"
            )
        return RayBackend(self.address, engines, gateway_node=self.gateway_node)


_RAY = (
    click.option(
        "--address",
        envvar="RAY_ADDRESS",
        metavar="HOST[:PORT]",
        help="Ray: address of the head, on a machine of the cluster; ray://HOST[:PORT] from "
        "elsewhere  [default: $RAY_ADDRESS]",
    ),
)

_RAY_OBJECTS = (
    click.option(
        "--gateway-node",
        default="",
        metavar="NODE",
        help="Ray: node on which a new deployment's gateway runs  [default: that of the head]",
    ),
)

Command = Callable[..., None]


def place_options(command: Command) -> Command:
    """Adds --on and what belongs to it; the command gets a `place`."""

    @wraps(command)
    def with_place(**given: Any) -> None:
        names = ("backend_name", "state", "address")
        place = Place(**{name: given.pop(name) for name in names})
        command(place=place, **given)

    on = _on("local", required=False, help="Where it runs.")
    return _added(with_place, (on, state_option, *_RAY))


def deploy_place_options(command: Command) -> Command:
    """As `place_options`, with what is asked for when a deployment is made."""

    @wraps(command)
    def with_place(**given: Any) -> None:
        names = ("backend_name", "state", "address", "gateway_node")
        place = Place(**{name: given.pop(name) for name in names})
        command(place=place, **given)

    words = "Where to run it: `local` is this machine, `ray` a Ray cluster."
    on = _on(None, required=True, help=words)
    return _added(with_place, (on, state_option, *_RAY, *_RAY_OBJECTS))


def _on(default: str | None, *, required: bool, help: str) -> Callable[[Command], Command]:
    return click.option(
        "--on",
        "backend_name",
        type=click.Choice(list(BACKENDS)),
        default=default,
        required=required,
        show_default=not required,
        help=help,
    )


def _added(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command
