"""`scepsy demo`: the whole job on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.status import Status
from rich.text import Text

from scepsy.cli.output import PlainConsole, console, emit_json, json_option, seconds, table
from scepsy.cli.plan import print_plan
from scepsy.cli.traces import print_demands
from scepsy.core.llm import EngineKind
from scepsy.core.plan import Plan
from scepsy.core.trace import Trace
from scepsy.demo import run
from scepsy.demo.run import PhaseListener
from scepsy.demo.settings import quick_settings, settings_for
from scepsy.errors import NotFound
from scepsy.profiler import DONE, Job
from scepsy.report import wording
from scepsy.report.data import Measurement, Summary
from scepsy.statistics.quantiles import P99_MIN
from scepsy.traces.summarize import summarize


@click.command("demo")
@click.option(
    "--engine",
    type=click.Choice(["emulated", "llamacpp", "vllm"]),
    default="emulated",
    show_default=True,
    help="Engines. llamacpp and vllm are real engines on this machine's cores, with tiny LLMs of "
    "random weights.",
)
@click.option(
    "--llms",
    "llms_path",
    type=click.Path(path_type=Path),
    help="File with other LLMs of the same names.  [default: the LLMs of the example]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("out/demo"),
    show_default=True,
    help="Folder for the results: new, empty, or filled by an earlier demo, which is replaced.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder of the repository.  [default: this folder]",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed of what the LLMs say and of when runs arrive.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Run in under a minute, to see that it works; its figures mean little.",
)
@json_option
def command(
    engine: EngineKind,
    llms_path: Path | None,
    out: Path,
    root: Path,
    seed: int,
    quick: bool,
    as_json: bool,
) -> None:
    """Trace two agent programs, profile their LLMs, plan, deploy, drive at the target rates, and
    compare with an even split of the GPUs. About six minutes.
    """
    if not (root / "examples" / "beam_search.py").exists():
        raise NotFound(
            f"no examples/ under {root.resolve()}: run this in the repository, or give --root"
        )
    settings = settings_for(engine, root, out, seed)
    if llms_path is not None:
        settings = replace(settings, llms=llms_path)
    settings = quick_settings(settings) if quick else settings
    screen = PlainConsole(quiet=True) if as_json else console()
    with Narrator(screen) as narrator:
        report = asyncio.run(run(settings, narrator.listener))
    if as_json:
        emit_json(report.summary)
        return
    print_summary(report.summary, screen)
    screen.print(f"\nreport: {out / 'report.html'}   numbers: {out / 'summary.json'}")


class Narrator:
    """Prints each phase with the time at which it began, and shows the progress within it."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._status = Status("", console=screen)
        self._begun = time.monotonic()
        self._done = 0
        self.listener = PhaseListener(self._phase, self._profiling, self._traced, self._planned)

    def __enter__(self) -> Narrator:
        self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def _phase(self, text: str) -> None:
        passed = f"{time.monotonic() - self._begun:6.1f} s"
        self._screen.print(Text.assemble((passed, "bold"), f"  {text}"))
        self._status.update(Text(text))

    def _profiling(self, job: Job, what: str, left: float) -> None:
        self._done += what == DONE
        now = f"{job}, {what}, at most {left:.0f} s left"
        self._status.update(Text(f"profiling: {self._done} engines done; {now}"))

    def _traced(self, traces: Sequence[Trace]) -> None:
        print_demands(summarize(traces), self._screen)

    def _planned(self, plan: Plan) -> None:
        print_plan(plan, self._screen)


def print_summary(summary: Summary, screen: Console) -> None:
    """What was measured under the plan and the even split, and how far the prediction was off."""
    title = f"Measured on {summary.engines}, seed {summary.seed}"
    if summary.time_scale != 1:
        title += f", at {summary.time_scale:g} x real speed"
    rows = [
        row
        for flow in summary.workflows
        for row in (
            (flow.workflow, f"{flow.target_rate:.3g}/s", *_measured(flow.measured)),
            ("  even split", "", *_measured(flow.even_split)),
        )
    ]
    columns = ("workflow", "target", "completed", "load", "runs", "mean", "p50", "p99", "slowest")
    screen.print(table(title, columns, rows))
    if any(flow.measured.latency_p99 is None for flow in summary.workflows):
        screen.print(f"- p99: of at least {P99_MIN} measured runs only", soft_wrap=True)
    predicted = [
        (
            flow.workflow,
            seconds(flow.predicted.latency_mean),
            seconds(flow.measured.latency_mean),
            wording.error(flow.latency_error, flow.chance),
            f"{flow.even_split.latency_mean / flow.measured.latency_mean:.2f} x the plan's",
        )
        for flow in summary.workflows
    ]
    columns = ("workflow", "predicted", "measured", "error, 90% interval", "even split")
    screen.print(table("Mean latency", columns, predicted))
    per_llm = [
        (
            f"{llm.workflow}: {llm.llm}",
            f"{llm.calls:.1f}",
            f"{llm.parallelism:.2f}",
            f"{llm.time_share:.0%}",
            llm.allocation,
            f"{llm.predicted_utilisation:.0%}",
            "-" if llm.measured_busy is None else f"{llm.measured_busy:.0%}",
        )
        for llm in summary.llms
    ]
    columns = ("LLM", "n", "p", "time share", "allocation", "capacity used, predicted")
    columns += ("engines busy, measured",)
    screen.print(table("LLMs", columns, per_llm))
    screen.print(f"- {wording.BUSY}")


def _measured(found: Measurement) -> tuple[str, ...]:
    return (
        f"{found.throughput:.3g}/s",
        found.verdict,
        f"{found.completed}",
        seconds(found.latency_mean),
        seconds(found.latency_p50),
        seconds(found.latency_p99),
        seconds(found.latency_max),
    )
