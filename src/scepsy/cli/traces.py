"""`scepsy traces`: what a trace directory holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from scepsy.cli import following, unattributed
from scepsy.cli.output import console, emit_json, json_option, seconds, table
from scepsy.core.demand import Demand
from scepsy.core.trace import Trace
from scepsy.errors import BadInput, did_you_mean
from scepsy.report import wording
from scepsy.store import read_traces
from scepsy.traces.sampling import represented
from scepsy.traces.stability import PRECISION, Stability, stability
from scepsy.traces.summarize import summarize

BAR = 60
"""Characters of a waterfall at most; fewer where the terminal is narrower."""
LEAST_BAR = 10
BEFORE_BAR = 27
"""Characters of the LLM's name and the latency before the bar."""
LEGEND = (
    "n: calls per run; p: mean number of open calls while any is open; call: mean duration; time "
    "share: part of a run's LLM time; CV: standard deviation divided by the mean; prompt, cached, "
    "output: mean tokens of a call"
)
SHARES_LEGEND = (
    "mean, p10, p50, p90, CV: of the LLM's share of a run's LLM time; +-: half-width of the 95% "
    "interval of the mean; drift: rank correlation of the share with the time at which the run "
    "began, from -1 to +1, near 0 if the workload did not change; runs to add: runs to trace "
    f"beside these until +- is {PRECISION:.0%} of the mean"
)
COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


@click.command("traces")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--workflow", help="Show only this workflow.")
@click.option(
    "--run", "run_name", help="Run to draw.  [default: the run of median latency of each workflow]"
)
@click.option(
    "--like",
    type=click.Path(path_type=Path),
    help="Trace directory with known runs, to infer the runs of calls without a run identifier.",
)
@click.option(
    "--attributed",
    type=click.Path(path_type=Path),
    help="New trace directory for the known runs and those found among the other calls.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Print each call as it is recorded from now on, until Ctrl-C; with --json a line each.",
)
@json_option
def command(
    directory: Path,
    workflow: str | None,
    run_name: str | None,
    like: Path | None,
    attributed: Path | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Show the runs, n, p and time shares of every workflow in DIRECTORY, and draw runs."""
    if follow:
        following.follow(directory, workflow, as_json=as_json)
    found = read_traces(directory, workflow=workflow)
    if workflow is not None and not found.traces:
        names = sorted({trace.workflow for trace in read_traces(directory).traces})
        raise BadInput(
            f"--workflow: there is no run of {workflow!r} in {directory}; "
            f"its workflows are: {', '.join(names) or 'none'}{did_you_mean(workflow, names)}"
        )
    seen = unattributed.attributed(found, like)
    if attributed is not None:
        unattributed.write(attributed, found, seen)
    demands, without = summaries(found.traces)
    warnings = [*found.warnings, *without, *sampled_warnings(found.traces)]
    steady = stability(found.traces)
    drawn = _medians(found.traces) if run_name is None else [_named(found.traces, run_name)]
    if as_json:
        emit_json(
            {
                "warnings": warnings,
                "counts": counts(found.traces),
                "demands": demands,
                "stability": steady,
                "unattributed": {
                    "totals": seen.totals,
                    "runs": [run.run for run in seen.runs],
                    "calls_left": seen.left,
                    "notes": seen.notes,
                },
            }
        )
        return
    screen = console()
    for warning in warnings:
        screen.print(f"warning: {warning}", style="yellow")
    _print_counts(counts(found.traces), screen)
    print_demands(demands, screen)
    for one in steady:
        _print_stability(one, screen)
    if any(_has_shares(one) for one in steady):
        screen.print(f"- {SHARES_LEGEND}")
    unattributed.show(seen, unattributed.uncertain(found), screen)
    for trace in drawn:
        _waterfall(trace, screen)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many runs and calls of a workflow were traced, and how many of them failed; and how many
    runs took place, by estimate, where only a sample of them was recorded.
    """

    workflow: str
    runs: int
    failed_runs: int
    calls: int
    failed_calls: int
    represented_runs: float


def counts(traces: Sequence[Trace]) -> list[Counts]:
    """One per workflow, by name."""
    return [
        Counts(
            workflow=name,
            runs=len(runs),
            failed_runs=sum(not trace.ok for trace in runs),
            calls=sum(len(trace.calls) for trace in runs),
            failed_calls=sum(not call.ok for trace in runs for call in trace.calls),
            represented_runs=represented(runs),
        )
        for name, runs in _by_workflow(traces).items()
    ]


def sampled_warnings(traces: Sequence[Trace]) -> list[str]:
    """A sentence for each workflow of which only a sample of the runs was recorded."""
    return [
        f"{one.workflow}: only a sample was recorded; {wording.count(one.runs, 'run')} and "
        f"{wording.count(one.calls, 'call')} stand for about {one.represented_runs:.3g} runs: "
        "multiply counted rates accordingly"
        for one in counts(traces)
        if one.represented_runs > one.runs
    ]


def summaries(traces: Sequence[Trace]) -> tuple[list[Demand], list[str]]:
    """A Demand for each workflow that has one, by name, and a warning for each other."""
    demands: list[Demand] = []
    warnings: list[str] = []
    for runs in _by_workflow(traces).values():
        try:
            demands += summarize(runs)
        except BadInput as error:
            warnings.append(str(error))
    return demands, warnings


def _by_workflow(traces: Sequence[Trace]) -> dict[str, list[Trace]]:
    names = sorted({trace.workflow for trace in traces})
    return {name: [trace for trace in traces if trace.workflow == name] for name in names}


def _print_counts(found: Sequence[Counts], screen: Console) -> None:
    rows = [(one.workflow, one.runs, one.failed_runs, one.calls, one.failed_calls) for one in found]
    screen.print(table("Traced", ("workflow", "runs", "failed", "calls", "failed"), rows))


def print_demands(demands: Sequence[Demand], screen: Console) -> None:
    """A table of n, p and time shares per workflow, and what its heads mean."""
    for demand in demands:
        rows = [
            (
                llm.llm,
                f"{llm.calls:.1f}",
                f"{llm.parallelism:.2f}" if llm.duration else "unknown",
                seconds(llm.duration) if llm.duration else "unknown",
                f"{llm.time_share.mean:.1%}" if llm.duration else "unknown",
                f"{llm.time_share.cv:.2f}" if llm.duration else "unknown",
                _count(llm.prompt_tokens),
                _count(llm.cached_tokens),
                _count(llm.output_tokens),
            )
            for llm in demand.llms
        ]
        runs = wording.count(demand.runs, "run")
        title = (
            f"{demand.workflow}: {runs}, mean {seconds(demand.latency.mean)}, "
            f"CV {demand.latency.cv:.2f}; outside LLMs {seconds(max(0.0, demand.other_time))}"
        )
        columns = ("LLM", "n", "p", "call", "time share", "its CV", "prompt", "cached", "output")
        screen.print(table(title, columns, rows))
    if demands:
        screen.print(f"- {LEGEND}")


def _has_shares(found: Stability) -> bool:
    """Whether there are shares to compare: of several LLMs, from runs with known durations."""
    return found.latency is not None and found.llm_time is not None and len(found.shares) > 1


def _print_stability(found: Stability, screen: Console) -> None:
    """The distribution of each LLM's share over runs, and what to think of it."""
    if found.latency and found.llm_time and _has_shares(found):
        rows = [
            (
                one.llm,
                f"{one.share.mean:.1%}",
                "-" if one.interval is None else f"{one.interval:.1%}",
                f"{one.share.p10:.1%}",
                f"{one.share.p50:.1%}",
                f"{one.share.p90:.1%}",
                f"{one.share.cv:.2f}",
                "-" if one.drift is None else f"{one.drift:+.2f}",
                "-" if one.more_runs is None else one.more_runs,
            )
            for one in found.shares
        ]
        title = (
            f"{found.workflow}: shares of LLM time over {found.runs} runs; CV of a run's LLM time "
            f"{found.llm_time.cv:.2f}, of its latency {found.latency.cv:.2f}"
        )
        columns = ("LLM", "mean", "+-", "p10", "p50", "p90", "CV", "drift", "runs to add")
        screen.print(table(title, columns, rows))
    for warning in found.warnings:
        screen.print(f"  {found.workflow}: {warning}", style="yellow")


def _count(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f}"


def _medians(traces: Sequence[Trace]) -> list[Trace]:
    """Of each workflow's successful runs, the one of median latency."""
    ranked = sorted((trace for trace in traces if trace.ok), key=lambda trace: trace.latency)
    return [runs[len(runs) // 2] for runs in _by_workflow(ranked).values()]


def _named(traces: Sequence[Trace], run: str) -> Trace:
    matches = [trace for trace in traces if trace.run == run]
    if not matches:
        names = ", ".join(trace.run for trace in traces[:5]) or "none"
        raise BadInput(f"--run: there is no run {run!r} here; the first are: {names}")
    if len(matches) > 1:
        owners = ", ".join(trace.workflow for trace in matches)
        raise BadInput(f"--run: several workflows have a run {run!r}; add --workflow: {owners}")
    return matches[0]


def _waterfall(trace: Trace, screen: Console, most: int = 40) -> None:
    """One line per call, where it stands in the run."""
    heading = f"run {trace.run}: {len(trace.calls)} calls, {seconds(trace.latency)}"
    heading += "" if trace.ok else ", failed"
    screen.print(Text.assemble((trace.workflow, "bold"), f" {heading}"))
    llms = sorted({call.llm for call in trace.calls})
    bar = max(LEAST_BAR, min(BAR, screen.width - BEFORE_BAR))
    scale = bar / max(trace.latency, 1e-9)
    for call in trace.calls[:most]:
        left = min(bar - 1, max(0, int((call.start - trace.start) * scale)))
        width = min(bar - left, max(1, round(call.duration * scale)))
        line = Text(f"  {call.llm[:14]:<14} {seconds(call.duration):>8} ")
        line.append(" " * left + "#" * width, style=COLOURS[llms.index(call.llm) % len(COLOURS)])
        screen.print(line)
    if len(trace.calls) > most:
        screen.print(f"  ... and {len(trace.calls) - most} more calls")
