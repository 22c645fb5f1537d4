"""`scepsy drive`: loads workflows open-loop and measures them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
from rich import progress
from rich.console import Console

from scepsy.cli.admin_files import find_admin
from scepsy.cli.inputs import state_directory, state_option
from scepsy.cli.number_types import FiniteRange
from scepsy.cli.output import PlainConsole, console, emit_json, json_option, seconds, table
from scepsy.cli.reachable import check_reachable
from scepsy.cli.terminal import echo
from scepsy.core.trace import RunMark
from scepsy.drive import (
    DriveInterrupted,
    DriveProgress,
    DriveResult,
    LlmLoad,
    Workload,
    drive,
    engines_read,
    llm_loads,
    load_function,
    read_inputs,
)
from scepsy.drive.marks import post_marks
from scepsy.errors import BadInput, RunsFailed
from scepsy.gateway.access.admin_access import AdminAccess
from scepsy.report import wording
from scepsy.statistics.quantiles import P99_MIN
from scepsy.store import write_record


@click.command("drive")
@click.argument("functions", nargs=-1, required=True, metavar="MODULE:FUNCTION...")
@click.option(
    "--rate",
    "rates",
    multiple=True,
    required=True,
    type=FiniteRange(min=0, min_open=True),
    help="Runs per second. Give one for each function, in the same order.",
)
@click.option(
    "--inputs",
    "inputs_paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File with an input for a run on each line, as text or (.jsonl) as JSON. Give one for "
    "each function, or none.",
)
@click.option(
    "--gateway",
    envvar="OPENAI_BASE_URL",
    required=True,
    metavar="URL",
    help="Where the LLM calls go.  [default: $OPENAI_BASE_URL]",
)
@click.option(
    "--duration",
    type=FiniteRange(min=1),
    default=60.0,
    show_default=True,
    help="Length of the measured window in seconds.",
)
@click.option(
    "--warmup",
    type=FiniteRange(min=0),
    default=5.0,
    show_default=True,
    help="Seconds of load before the measured window.",
)
@click.option(
    "--timeout",
    type=FiniteRange(min=1),
    default=300.0,
    show_default=True,
    help="Seconds after which a run counts as failed.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of arrivals and order of inputs."
)
@state_option
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the result into this file, as JSON."
)
@json_option
def command(
    functions: tuple[str, ...],
    rates: tuple[float, ...],
    inputs_paths: tuple[Path, ...],
    gateway: str,
    duration: float,
    warmup: float,
    timeout: float,
    seed: int,
    state: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Start runs of `async def FUNCTION(...)` as a Poisson process of the given rate, whether or
    not earlier runs have ended, and measure latency and throughput. The exit code is 8 when a run
    failed.

    Ctrl-C ends it early: it prints what was measured until then, and the exit code is 130.
    """
    if len(rates) != len(functions) or len(inputs_paths) not in (0, len(functions)):
        raise BadInput(
            "give one --rate for each MODULE:FUNCTION, and one --inputs for each or none"
        )
    point_at(gateway)
    workloads = [
        Workload(
            workflow=workflow_name(name),
            function=load_function(name),
            rate=rate,
            inputs=read_inputs(inputs_paths[index]) if inputs_paths else (),
        )
        for index, (name, rate) in enumerate(zip(functions, rates, strict=True))
    ]
    asyncio.run(check_reachable("--gateway", gateway))
    with drive_progress(as_json) as report:
        result = asyncio.run(
            _drive_and_read(
                find_admin(gateway, state_directory(state)),
                lambda: _drive(workloads, gateway, duration, warmup, seed, timeout, report),
                after=warmup,
                seconds=duration,
            )
        )
    if out is not None:
        write_record(out, result)
    if as_json:
        emit_json(result)
    else:
        print_result(result, console())
    if result.interrupted:
        echo(f"scepsy: {interruption(result, duration)}", err=True)
        raise KeyboardInterrupt
    failed = sum(flow.failed for flow in result.workflows)
    if failed:
        raise RunsFailed(f"{failed} runs failed; the first: {first_error(result)}")


async def _drive_and_read(
    admin: AdminAccess | None,
    driven: Callable[[], Awaitable[DriveResult]],
    *,
    after: float,
    seconds: float,
) -> DriveResult:
    """Drives, and meanwhile reads the engines behind the gateway that is governed there, if any."""
    url, headers = (None, {}) if admin is None else (admin.url, admin.headers)
    async with engines_read(url, headers, after=after, seconds=seconds) as readings:
        result = await driven()
    return msgspec.structs.replace(result, llms=llm_loads(readings))


async def _drive(
    workloads: Sequence[Workload],
    gateway: str,
    duration: float,
    warmup: float,
    seed: int,
    timeout: float,  # noqa: ASYNC109 - of each run
    report: Callable[[DriveProgress], None],
) -> DriveResult:
    """Drives; then tells the gateway of every run, in case it records, also when interrupted: a run
    that was cancelled must not be taken for a successful one.
    """
    marks: list[RunMark] = []
    try:
        return await drive(
            workloads,
            duration=duration,
            warmup=warmup,
            seed=seed,
            timeout=timeout,
            on_progress=report,
            on_run=marks.append,
        )
    except DriveInterrupted as interrupted:
        return interrupted.result
    finally:
        await post_marks(gateway, marks)


@contextmanager
def drive_progress(quiet: bool) -> Generator[Callable[[DriveProgress], None]]:
    """A progress bar until the end of the measured window, with the number of open runs."""
    bar = progress.Progress(
        progress.TextColumn("driving"),
        progress.BarColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[now]}", markup=False),
        console=PlainConsole(stderr=True),
        disable=quiet,
    )
    task = bar.add_task("", total=None, now="")

    def report(now: DriveProgress) -> None:
        counts = f"{now.running} open, {now.completed} done, {now.failed} failed"
        bar.update(task, total=now.total, completed=min(now.elapsed, now.total), now=counts)

    with bar:
        yield report


def point_at(gateway: str) -> None:
    """Sets the variables that OpenAI clients read. Call it before importing the programs, because
    some make their client on import.
    """
    base = gateway.rstrip("/")
    base = base if base.endswith("/v1") else f"{base}/v1"
    os.environ["OPENAI_BASE_URL"] = os.environ["OPENAI_API_BASE"] = base
    os.environ.setdefault("OPENAI_API_KEY", "scepsy")


def workflow_name(function: str) -> str:
    """`examples/rag.py:run` and `examples.rag:run` are both workflow `rag`."""
    module = function.partition(":")[0]
    return Path(module).stem if module.endswith(".py") else module.rpartition(".")[2]


def interruption(result: DriveResult, planned: float) -> str:
    """What an interrupted drive has measured of the `planned` seconds."""
    if not any(flow.offered for flow in result.workflows):
        return "interrupted before a measured run began: nothing was measured"
    unfinished = sum(flow.unfinished for flow in result.workflows)
    text = f"interrupted after {result.duration:.0f} of {planned:.0f} s"
    if unfinished:
        text += (
            f"; {wording.count(unfinished, 'run')} had not ended; the latencies leave "
            "these out, and so are lower than those of all runs"
        )
    return text


def first_error(result: DriveResult) -> str:
    errors: Sequence[str] = [
        run.error for flow in result.workflows for run in flow.runs if run.error is not None
    ]
    return errors[0] if errors else "unknown"


def print_result(result: DriveResult, screen: Console) -> None:
    """Throughput and latency of each workflow."""
    rows = [
        (
            flow.workflow,
            f"{flow.offered_rate:.3g}/s",
            f"{flow.throughput:.3g}/s",
            flow.verdict,
            seconds(flow.latency_mean),
            seconds(flow.latency_p50),
            seconds(flow.latency_p90),
            seconds(flow.latency_p99),
            flow.completed,
            flow.failed,
        )
        for flow in result.workflows
    ]
    columns = (
        "workflow",
        "offered",
        "completed",
        "load",
        "mean",
        "p50",
        "p90",
        "p99",
        "runs",
        "failed",
    )
    title = f"Measured: the runs that arrived within {result.duration:.0f} s, and their latencies"
    screen.print(table(title, columns, rows))
    if any(flow.latency_p99 is None for flow in result.workflows):
        screen.print(f"- p99: of at least {P99_MIN} successful runs only", soft_wrap=True)
    if result.llms:
        print_llm_loads(result.llms, screen)


def print_llm_loads(llms: Sequence[LlmLoad], screen: Console) -> None:
    """How busy the engines of each LLM were, as they reported it."""
    rows = [
        (
            one.llm,
            one.replicas,
            "-" if one.busy is None else f"{one.busy:.0%}",
            _mean_and_max(one.running_mean, one.running_max, "{:.1f}"),
            _mean_and_max(one.waiting_mean, one.waiting_max, "{:.1f}"),
            _mean_and_max(one.kv_usage_mean, one.kv_usage_max, "{:.1%}"),
        )
        for one in llms
    ]
    columns = ("LLM", "replicas", "engines busy", "running", "waiting", "KV cache")
    screen.print(table("Engines in that time, as they reported: mean (maximum)", columns, rows))
    screen.print(f"- {wording.BUSY}")


def _mean_and_max(mean: float | None, most: float | None, form: str) -> str:
    return "-" if mean is None else f"{form.format(mean)} ({form.format(most)})"
