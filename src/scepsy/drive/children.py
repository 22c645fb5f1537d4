"""Runs programs as child processes whose LLM calls go through a gateway; each is one run."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from scepsy.drive.process import run_process
from scepsy.errors import BadInput, NotFound, first_of
from scepsy.marking import RUN_HEADER, SITE, WORKFLOW_HEADER, check_name, new_run

_LAST_LINES = 10


@dataclass(frozen=True, slots=True)
class ChildResult:
    """A child process that has ended.

    Attributes:
        run: the run that its calls belong to; None where the program opens runs by itself.
        input: the input that it was given; None for the command alone.
        exit_code: its exit code; the negative number of a signal that ended it.
        start, end: Unix seconds.
        stdout: what it printed; empty where it had our own standard output.
        stderr_tail: its last lines on standard error.
    """

    run: str | None
    input: str | None
    exit_code: int
    start: float
    end: float
    stdout: str
    stderr_tail: str


async def trace_children(
    command: Sequence[str],
    *,
    gateway_url: str,
    workflow: str,
    inputs: Sequence[str] | None = None,
    jobs: int = 1,
    auto: bool = False,
    on_progress: Callable[[ChildResult], None] | None = None,
) -> list[ChildResult]:
    """Starts `command` once, or once per input with at most `jobs` at the same time. The results
    are in the order of the inputs.

    `{}` in the command is replaced by the input; a command without it gets the input as its last
    argument. A child without inputs has our standard streams; the output of children with inputs is
    kept. `on_progress` is called with each child that ends. Cancelling this ends every child and
    the processes of its process group, and calls `on_progress` with these children, too. With
    `auto`, a child is not a run: it opens runs by itself.

    Raises:
        NotFound, BadInput: the command is not there, or cannot be executed.
    """
    check_name(workflow)
    if not command:
        raise BadInput("there is no command to run")
    slots = asyncio.Semaphore(jobs)
    given: Sequence[str | None] = [None] if inputs is None else inputs

    def report(result: ChildResult) -> None:
        if on_progress is not None:
            on_progress(result)

    async def one(child_input: str | None) -> ChildResult:
        argv, run = arguments(command, child_input), None if auto else new_run()
        async with slots:
            result = await _run_child(argv, gateway_url, workflow, child_input, run, report)
        report(result)
        return result

    try:
        async with asyncio.TaskGroup() as tasks:
            started = [tasks.create_task(one(child_input)) for child_input in given]
    except* (NotFound, BadInput) as errors:
        raise first_of(errors) from None
    return [task.result() for task in started]


def arguments(command: Sequence[str], child_input: str | None) -> list[str]:
    """The command with the input in the place of `{}`, or as its last argument."""
    if child_input is None:
        return list(command)
    if any("{}" in part for part in command):
        return [part.replace("{}", child_input) for part in command]
    return [*command, child_input]


def environment(
    base: Mapping[str, str], gateway_url: str, workflow: str, run: str | None
) -> dict[str, str]:
    """`base` with variables that make LLM clients call the gateway and name their run.

    Every client keeps the path of the URL, so the path names the run. The headers name it for
    clients that are given another URL. Without a run, Python programs open a run by themselves
    wherever the outermost known entry point is called. The telemetry of frameworks is turned off:
    it would go to the gateway or to the Internet.
    """
    base_url = gateway_url.rstrip("/").removesuffix("/v1")
    names = [quote(name, safe="") for name in (workflow, run) if name is not None]
    url = f"{base_url}/w/{'/'.join(names)}/v1"
    own = base.get("OPENAI_CUSTOM_HEADERS", "").strip()
    headers = f"{own}\n{WORKFLOW_HEADER}: {workflow}".strip()
    common = {
        "OPENAI_API_KEY": "scepsy",
        **base,
        "OPENAI_BASE_URL": url,
        "OPENAI_API_BASE": url,
        "OPENAI_CUSTOM_HEADERS": headers,
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
        "CREWAI_DISABLE_TELEMETRY": "true",
        "SCEPSY_WORKFLOW": workflow,
    }
    if run is None:
        path = os.pathsep.join([str(SITE), *filter(None, [base.get("PYTHONPATH")])])
        return {**common, "PYTHONPATH": path, "SCEPSY_AUTO": workflow}
    return {
        **common,
        "OPENAI_CUSTOM_HEADERS": f"{headers}\n{RUN_HEADER}: {run}",
        "SCEPSY_RUN": run,
    }


async def _run_child(
    argv: Sequence[str],
    gateway_url: str,
    workflow: str,
    child_input: str | None,
    run: str | None,
    on_cancel: Callable[[ChildResult], None],
) -> ChildResult:
    start = time.time()

    def ended(exit_code: int, stdout: str, stderr: str) -> ChildResult:
        return ChildResult(
            run=run,
            input=child_input,
            exit_code=exit_code,
            start=start,
            end=max(start, time.time()),
            stdout=stdout,
            stderr_tail="\n".join(stderr.splitlines()[-_LAST_LINES:]),
        )

    env = environment(os.environ, gateway_url, workflow, run)
    try:
        finished = await run_process(argv, env, attached=child_input is None)
    except asyncio.CancelledError:
        on_cancel(ended(-signal.SIGTERM, "", "interrupted"))
        raise
    return ended(finished.exit_code, finished.stdout, finished.stderr)
