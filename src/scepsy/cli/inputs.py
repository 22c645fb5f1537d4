"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import os
from pathlib import Path

import click

from scepsy.core.plan import Target
from scepsy.errors import BadInput

cluster_option = click.option(
    "--cluster",
    "cluster_path",
    type=click.Path(path_type=Path),
    required=True,
    help="Cluster, TOML.",
)
llms_option = click.option(
    "--llms", "llms_path", type=click.Path(path_type=Path), required=True, help="LLMs, TOML."
)
state_option = click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=None,
    help="Where deployments are remembered  [default: $SCEPSY_STATE or ~/.local/state/scepsy]",
)
name_option = click.option("--name", default="default", show_default=True, help="Deployment.")


def state_directory(given: Path | None) -> Path:
    """Where deployments live: the flag, else $SCEPSY_STATE, else the XDG state directory."""
    if given is not None:
        return given
    if named := os.environ.get("SCEPSY_STATE"):
        return Path(named)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "scepsy"


def parse_target(text: str) -> Target:
    """`WORKFLOW=RATE` or `WORKFLOW=RATE*WEIGHT`. Raises BadInput."""
    workflow, _, rest = text.partition("=")
    rate, _, weight = rest.partition("*")
    try:
        target = Target(workflow=workflow, rate=float(rate), weight=float(weight or 1))
    except ValueError:
        raise BadInput(f"--target {text!r}: write WORKFLOW=RATE or WORKFLOW=RATE*WEIGHT") from None
    if not workflow or not 0 < target.rate < float("inf") or not 0 < target.weight < float("inf"):
        raise BadInput(f"--target {text!r}: rate and weight must be positive numbers")
    return target


def parse_targets(texts: tuple[str, ...]) -> tuple[Target, ...]:
    """All targets. Raises BadInput where a workflow is named twice."""
    targets = tuple(parse_target(text) for text in texts)
    names = [target.workflow for target in targets]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadInput(f"--target names {', '.join(sorted(twice))} more than once")
    return targets
