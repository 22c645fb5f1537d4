"""`scepsy export`: writes traces for other tools."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from scepsy.cli.output import emit_json, json_option
from scepsy.cli.terminal import echo
from scepsy.convert import otlp_documents, perfetto_events
from scepsy.errors import BadInput
from scepsy.store import read_traces, write_atomic


@click.command("export")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["otlp", "perfetto"]),
    required=True,
    help="Format of the file.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File to write.")
@click.option("--workflow", help="Export only this workflow.")
@json_option
def command(
    directory: Path, format_name: str, out: Path, workflow: str | None, as_json: bool
) -> None:
    """Write the traces in DIRECTORY as OTLP JSON (GenAI conventions, a run a line), or as a file to
    open in ui.perfetto.dev.

    What was said to LLMs is not exported.
    """
    found = read_traces(directory, workflow=workflow)
    if not found.traces:
        raise BadInput(f"{directory}: holds no run to export")
    if format_name == "otlp":
        lines = [msgspec.json.encode(one) for one in otlp_documents(found.traces)]
        write_atomic(out, b"\n".join(lines) + b"\n")
    else:
        events = list(perfetto_events(found.traces))
        write_atomic(out, msgspec.json.encode({"traceEvents": events, "displayTimeUnit": "ms"}))
    if as_json:
        emit_json({"out": str(out), "runs": len(found.traces), "warnings": found.warnings})
        return
    for warning in found.warnings:
        echo(f"warning: {warning}", err=True)
    echo(f"{len(found.traces)} runs are in {out}")
