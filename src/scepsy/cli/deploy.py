"""`scepsy deploy`: starts a plan, or changes a running deployment into it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec

from scepsy.cli.inputs import name_option
from scepsy.cli.number_types import FiniteRange
from scepsy.cli.output import emit_json, json_option
from scepsy.cli.places import Place, deploy_place_options
from scepsy.cli.terminal import echo
from scepsy.cli.waves import grace_option, print_waves, wrapped
from scepsy.core.plan import Plan
from scepsy.engines import EngineOptions
from scepsy.errors import CallsCut, ScepsyError
from scepsy.report.first_screen import pace_notes
from scepsy.store import read_plan


@click.command("deploy")
@click.argument("plan_path", metavar="PLAN", type=click.Path(path_type=Path))
@deploy_place_options
@name_option
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the gateway; 0 keeps the deployment's, and picks a free one for a new one.",
)
@click.option(
    "--traces",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder on the gateway's machine into which calls are recorded.  "
    "[default: that of the running deployment; a new one records nothing]",
)
@grace_option
@click.option(
    "--allow-dip",
    is_flag=True,
    help="Let an LLM have less capacity on the way than its load needs, if nothing else works.",
)
@click.option("--dry-run", is_flag=True, help="Print the waves of the change, and change nothing.")
@click.option(
    "--time-scale",
    type=FiniteRange(0.01, 1000),
    default=None,
    help="Factor by which emulated engines run faster than the real GPU: 2 halves all times.  "
    "[default: the plan's]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of emulated engines.")
@json_option
def command(
    plan_path: Path,
    place: Place,
    name: str,
    port: int,
    traces: Path | None,
    grace: float,
    allow_dip: bool,
    dry_run: bool,
    time_scale: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Start the engines of PLAN with a gateway in front of them.

    A running deployment of the same name is changed into PLAN, wave by wave: replicas that stay are
    left alone. The exit code is 9 when calls had to be cut, 10 when another command is changing the
    deployment, and 11 when the change needs --allow-dip.
    """
    decided: Plan = read_plan(plan_path)
    options = EngineOptions(seed=seed, time_scale=time_scale or decided.time_scale)
    if place.backend_name == "kubernetes":
        # There a plan's own time scale is what its engines get.
        decided = msgspec.structs.replace(decided, time_scale=options.time_scale)
    backend = place.backend(options)
    if dry_run:
        try:
            waves = asyncio.run(backend.preview(decided, name=name, allow_dip=allow_dip))
        except ScepsyError as refusal:
            if refusal.would:
                print_waves(refusal.would, as_json=as_json)
            raise
        print_waves(waves, as_json=as_json)
        return
    done = asyncio.run(
        backend.apply(
            decided,
            name=name,
            port=port,
            traces=traces,
            grace=grace,
            allow_dip=allow_dip,
            on_progress=lambda what: None if as_json else echo(wrapped(what)),
        )
    )
    if as_json:
        emit_json(done)
    else:
        echo(f"{len(done.replicas)} replicas on {place.backend_name}; gateway at {done.url}")
        echo(f"point programs at it:  export OPENAI_BASE_URL={done.url}/v1")
        for sentence in pace_notes(decided, options.time_scale):
            echo(wrapped(sentence))
    if done.cut:
        click.get_current_context().exit(CallsCut.exit_code)
