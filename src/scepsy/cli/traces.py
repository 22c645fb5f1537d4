"""`scepsy traces`: what a trace directory holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from scepsy.cli.output import console, emit_json, json_option, seconds, table
from scepsy.core.demand import Demand
from scepsy.core.trace import Trace
from scepsy.errors import BadInput
from scepsy.store import read_traces
from scepsy.summarize import summarize

BAR = 60
COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


@click.command("traces")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--workflow", help="Only this workflow.")
@click.option("--run", "run_name", help="The run to draw  [default: the median one]")
@json_option
def command(directory: Path, workflow: str | None, run_name: str | None, as_json: bool) -> None:
    """Runs, n, p and time shares of every workflow in DIRECTORY, and a waterfall of one run."""
    found = read_traces(directory, workflow=workflow)
    demands = summarize(found.traces)
    if as_json:
        emit_json({"warnings": found.warnings, "demands": demands})
        return
    screen = console()
    for warning in found.warnings:
        screen.print(f"warning: {warning}", style="yellow")
    print_demands(demands, screen)
    for demand in demands:
        runs = [trace for trace in found.traces if trace.workflow == demand.workflow and trace.ok]
        _waterfall(_chosen(runs, run_name), screen)


def print_demands(demands: Sequence[Demand], screen: Console) -> None:
    """A table of n, p and time shares per workflow."""
    for demand in demands:
        rows = [
            (
                llm.llm,
                f"{llm.calls:.1f}",
                f"{llm.parallelism:.2f}",
                seconds(llm.duration),
                f"{llm.time_share.mean:.1%}",
                f"{llm.time_share.cv:.2f}",
                _count(llm.prompt_tokens),
                _count(llm.cached_tokens),
                _count(llm.output_tokens),
            )
            for llm in demand.llms
        ]
        title = (
            f"{demand.workflow}: {demand.runs} runs, mean {seconds(demand.latency.mean)}, "
            f"CV {demand.latency.cv:.2f}; outside LLMs {seconds(max(0.0, demand.other_time))}"
        )
        columns = ("LLM", "n", "p", "call", "time share", "its CV", "prompt", "cached", "output")
        screen.print(table(title, columns, rows))


def _count(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f}"


def _chosen(runs: Sequence[Trace], name: str | None) -> Trace:
    if name is None:
        return sorted(runs, key=lambda trace: trace.latency)[len(runs) // 2]
    match = next((trace for trace in runs if trace.run == name), None)
    if match is None:
        raise BadInput(
            f"no successful run {name!r} here; runs: {', '.join(t.run for t in runs[:5])}, ..."
        )
    return match


def _waterfall(trace: Trace, screen: Console, most: int = 40) -> None:
    """One line per call, where it stands in the run."""
    heading = f"run {trace.run}: {len(trace.calls)} calls, {seconds(trace.latency)}"
    screen.print(f"[bold]{trace.workflow}[/bold] {heading}")
    llms = sorted({call.llm for call in trace.calls})
    scale = BAR / max(trace.latency, 1e-9)
    for call in trace.calls[:most]:
        left = max(0, int((call.start - trace.start) * scale))
        width = max(1, round(call.duration * scale))
        line = Text(f"  {call.llm[:14]:<14} {seconds(call.duration):>8} ")
        line.append(" " * left + "#" * width, style=COLOURS[llms.index(call.llm) % len(COLOURS)])
        screen.print(line)
    if len(trace.calls) > most:
        screen.print(f"  ... and {len(trace.calls) - most} more calls")
