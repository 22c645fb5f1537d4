"""`scepsy traces --follow`: prints calls as they are recorded."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from scepsy.cli.output import seconds
from scepsy.cli.terminal import echo, escaped_json
from scepsy.core.trace import Call
from scepsy.store.trace_follow import Follower

_EVERY = 0.25
"""Seconds between two looks at the directory."""


def follow(directory: Path, workflow: str | None, *, as_json: bool) -> None:
    """Prints a line per call until it is interrupted. Raises NotFound."""
    follower = Follower(directory)
    click.echo(f"following {directory}; Ctrl-C ends", err=True)
    while True:
        for call in follower.poll():
            if workflow not in (None, call.workflow):
                continue
            if as_json:
                click.echo(escaped_json(msgspec.json.encode(call).decode()))
            else:
                echo(_line(call))
        time.sleep(_EVERY)


def _line(call: Call) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(call.end))
    tokens = "/".join("?" if one is None else str(one) for one in _tokens(call))
    whose = f"{call.workflow}/{call.run}" if call.run else "no run"
    error = f"  {call.error}" if call.error else ""
    return f"{at}  {call.status}  {seconds(call.duration):>8}  {call.llm}  {tokens}  {whose}{error}"


def _tokens(call: Call) -> tuple[int | None, int | None]:
    return call.prompt_tokens, call.output_tokens
