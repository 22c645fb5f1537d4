"""`scepsy trace`: runs a program and records its LLM calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import click

from scepsy.cli.output import console, emit_json, json_option
from scepsy.cli.reachable import check_reachable
from scepsy.cli.terminal import echo
from scepsy.cli.traces import print_demands, summaries
from scepsy.core.trace import RunMark
from scepsy.drive.children import ChildResult, trace_children
from scepsy.drive.inputs import read_lines
from scepsy.drive.marks import post_marks
from scepsy.errors import BadInput, RunsFailed
from scepsy.gateway.config import GatewayConfig
from scepsy.gateway.server import running
from scepsy.store import read_traces

_GRACE = 10.0
"""Seconds for calls that the program has left behind: nobody waits for their answers."""


@click.command("trace", context_settings={"ignore_unknown_options": True})
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Trace directory. Runs are added to those in it.",
)
@click.option(
    "--upstream",
    envvar="OPENAI_BASE_URL",
    required=True,
    metavar="URL",
    help="Server that answers the calls.  [default: $OPENAI_BASE_URL]",
)
@click.option("--workflow", help="Name of the workflow.  [default: the program's name]")
@click.option(
    "--each",
    type=click.Path(path_type=Path),
    help="Run CMD once for each line of this file. The line takes the place of {} in CMD, or is "
    "its last argument.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="With --each: runs at the same time.",
)
@click.option(
    "--record-content", is_flag=True, help="Record prompts and answers, not only digests of them."
)
@click.option(
    "--auto",
    is_flag=True,
    help="CMD is a server, or does many runs. A run begins with each request to it, or with each "
    "outermost call of a framework. For Python programs only.",
)
@json_option
@click.argument("cmd", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
def command(
    out: Path,
    upstream: str,
    workflow: str | None,
    each: Path | None,
    jobs: int,
    record_content: bool,
    auto: bool,
    as_json: bool,
    cmd: tuple[str, ...],
) -> None:
    """Run CMD with its LLM calls recorded.

    CMD needs no change: it is pointed at a gateway by OPENAI_BASE_URL.

    Each start of CMD is one run, unless --auto says otherwise. Example:

      scepsy trace --out traces --upstream http://127.0.0.1:8000 -- python agent.py "question"
    """
    name = workflow or program_name(cmd)
    inputs = None if each is None else read_lines(each)
    if auto and each is not None:
        raise BadInput("--auto: with --each, every start of CMD is a run; give one of them")
    begin = time.time()
    results = asyncio.run(_trace(out, upstream, name, inputs, jobs, record_content, auto, cmd))
    # A server is ended by a signal.
    failed = [one for one in results if one.exit_code > 0 or (one.exit_code < 0 and not auto)]
    first = f"exit code {failed[0].exit_code}; {failed[0].stderr_tail}" if failed else ""
    runs = {result.run for result in results}
    found = read_traces(out, workflow=name)
    for warning in found.warnings:
        echo(f"warning: {warning}", err=True)
    traces = [one for one in found.traces if (one.start >= begin if auto else one.run in runs)]
    if not traces:
        raise RunsFailed(
            f"no LLM call of {name!r} was seen: does the program read OPENAI_BASE_URL? {first}"
        )
    if not any(call.ok for one in traces for call in one.calls):
        error = next(call for one in traces for call in one.calls if not call.ok)
        raise RunsFailed(f"no LLM call of {name!r} succeeded; {error.status}: {error.error}")
    demands, warnings = summaries(traces)
    if as_json:
        emit_json(
            {
                "runs": len(traces) if auto else len(results),
                "failed": len(failed),
                "demands": demands,
            }
        )
    else:
        print_demands(demands, console())
    if failed:
        raise RunsFailed(f"{len(failed)} of {len(results)} runs failed; the first: {first}")
    if not demands:
        raise RunsFailed(warnings[0])


def program_name(cmd: Sequence[str]) -> str:
    """The workflow's name when none is given: the script that CMD runs, without its ending."""
    script = next((part for part in cmd if part.endswith(".py")), cmd[0])
    return Path(script).stem


async def _trace(
    out: Path,
    upstream: str,
    workflow: str,
    inputs: Sequence[str] | None,
    jobs: int,
    record_content: bool,
    auto: bool,
    cmd: Sequence[str],
) -> list[ChildResult]:
    if inputs is not None and not inputs:
        raise BadInput("--each: the file has no line")
    await check_reachable("--upstream", upstream)
    config = GatewayConfig(
        port=0,
        upstream=upstream,
        traces=str(out),
        record_content=record_content,
        grace=_GRACE,
    )
    ended: list[ChildResult] = []
    async with running(config) as gateway:
        try:
            await trace_children(
                cmd,
                gateway_url=gateway.url,
                workflow=workflow,
                inputs=inputs,
                jobs=jobs,
                auto=auto,
                on_progress=ended.append,
            )
        except asyncio.CancelledError:
            # Ctrl-C is how a server ends; what it did is to be seen.
            if not auto:
                raise
        finally:
            await post_marks(gateway.url, _failed_marks(workflow, ended))
    return ended


def _failed_marks(workflow: str, ended: Sequence[ChildResult]) -> list[RunMark]:
    """Of the runs that failed, whatever their calls did.

    Good runs get no mark: from its first call to its last is how long a run took, and the start of
    an interpreter is no part of it.
    """
    return [
        RunMark(
            run=child.run,
            workflow=workflow,
            start=child.start,
            end=child.end,
            ok=False,
            error=f"exit code {child.exit_code}",
        )
        for child in ended
        if child.run is not None and child.exit_code != 0
    ]
