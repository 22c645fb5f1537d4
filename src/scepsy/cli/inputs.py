"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import click

from scepsy.cli.terminal import echo
from scepsy.core.plan import Target
from scepsy.core.trace import Trace
from scepsy.errors import BadInput, did_you_mean
from scepsy.store import read_traces

cluster_option = click.option(
    "--cluster",
    "cluster_path",
    type=click.Path(path_type=Path),
    required=True,
    help="Cluster: a TOML file, or a word like 8xh100 or 2x8xh100 (nodes x GPUs x type).",
)
llms_option = click.option(
    "--llms",
    "llms_path",
    type=click.Path(path_type=Path),
    required=True,
    help="File with the LLMs, TOML.",
)
known_llms_option = click.option(
    "--llms",
    "llms_path",
    type=click.Path(path_type=Path),
    help="File with the LLMs, TOML.  [default: the LLMs that the traces call, if their names are "
    "those of known architectures]",
)
stand_in_option = click.option(
    "--llm",
    "stand_ins",
    multiple=True,
    metavar="NAME=ARCHITECTURE",
    help="Architecture of an LLM that the traces call. May be repeated.",
)
state_option = click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder with the state of deployments.  [default: $SCEPSY_STATE or ~/.local/state/scepsy]",
)
workflow_option = click.option(
    "--workflow",
    "workflows",
    multiple=True,
    metavar="NAME",
    help="Use only the calls of this workflow. May be repeated.  [default: all workflows]",
)


def out_option(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option --out of a command that writes one file."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        default=Path(default),
        show_default=True,
        help="File to write.",
    )


def _deployment_name(_context: click.Context, _option: click.Parameter, name: str) -> str:
    """Raises BadInput for a name that is no name of a folder."""
    if not name or name.startswith(".") or "/" in name or not name.isprintable():
        raise BadInput(f"--name {name!r}: write a name of letters, digits and dashes")
    return name


name_option = click.option(
    "--name",
    default="default",
    show_default=True,
    callback=_deployment_name,
    help="Name of the deployment.",
)


def state_directory(given: Path | None) -> Path:
    """Where deployments live: the flag, else $SCEPSY_STATE, else the XDG state directory."""
    if given is not None:
        return given
    if named := os.environ.get("SCEPSY_STATE"):
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "scepsy"


def traces_of(directory: Path) -> tuple[Trace, ...]:
    """The runs in a trace directory; what was left out of them is printed as warnings. Raises
    NotFound and BadInput.
    """
    found = read_traces(directory)
    for warning in found.warnings:
        echo(f"warning: {warning}", err=True)
    return found.traces


def only(traces: Sequence[Trace], workflows: Collection[str]) -> tuple[Trace, ...]:
    """The traces of these workflows; all where none is named. Raises BadInput for one that was not
    traced.
    """
    traced = {trace.workflow for trace in traces}
    for name in workflows:
        if name not in traced:
            known = ", ".join(sorted(traced)) or "none"
            hint = did_you_mean(name, traced)
            raise BadInput(f"--workflow: there is no run of {name!r}; traced: {known}{hint}")
    return tuple(trace for trace in traces if not workflows or trace.workflow in workflows)


def parse_target(text: str) -> Target:
    """`WORKFLOW=RATE` or `WORKFLOW=RATE*WEIGHT`. Raises BadInput."""
    shape = "WORKFLOW=RATE or WORKFLOW=RATE*WEIGHT"
    workflow, (rate, *weight) = _numbers("--target", text, shape, most=2)
    return Target(workflow=workflow, rate=rate, weight=weight[0] if weight else 1.0)


def parse_targets(texts: Sequence[str]) -> tuple[Target, ...]:
    """All targets. Raises BadInput where a workflow is named twice."""
    targets = tuple(parse_target(text) for text in texts)
    _check_once("--target", [target.workflow for target in targets])
    return targets


def parse_mix(texts: Sequence[str], traced: Collection[str]) -> dict[str, float]:
    """Each `WORKFLOW=RATE`. Raises BadInput where a workflow is named twice or is not `traced`."""
    rates = parse_rates("--mix", texts)
    for workflow in rates:
        if workflow not in traced:
            known = ", ".join(sorted(traced)) or "none"
            hint = did_you_mean(workflow, traced)
            raise BadInput(
                f"--mix names {workflow!r}, which is not in the traces; they have {known}{hint}"
            )
    return rates


def parse_rates(flag: str, texts: Sequence[str]) -> dict[str, float]:
    """Each `WORKFLOW=RATE`. Raises BadInput where a workflow is named twice."""
    rates = [_numbers(flag, text, "WORKFLOW=RATE", most=1) for text in texts]
    _check_once(flag, [workflow for workflow, _ in rates])
    return {workflow: rate for workflow, (rate,) in rates}


def _numbers(flag: str, text: str, shape: str, most: int) -> tuple[str, list[float]]:
    """The workflow before the "=", and the positive numbers after it, apart by "*"."""
    workflow, _, rest = text.partition("=")
    try:
        numbers = [float(part) for part in rest.split("*")]
    except ValueError:
        numbers = []
    if not workflow or not 1 <= len(numbers) <= most:
        raise BadInput(f"{flag} {text!r}: write {shape}")
    if not all(0 < number < float("inf") for number in numbers):
        raise BadInput(f"{flag} {text!r}: every number must be positive")
    return workflow, numbers


def _check_once(flag: str, names: Sequence[str]) -> None:
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadInput(f"{flag} names {', '.join(sorted(twice))} more than once")
