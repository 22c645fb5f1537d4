"""The part of `scepsy traces` about calls that belong to no certain run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from scepsy.cli.output import seconds, table
from scepsy.core.trace import Call, RunMark
from scepsy.errors import BadInput
from scepsy.store import TraceSet, TraceWriter, holds_traces, read_traces
from scepsy.traces.unattributed import Attribution, attribute, is_certain


def attributed(found: TraceSet, like: Path | None) -> Attribution:
    """Attributes all other calls by the runs that are certain, including those in `like`."""
    models = () if like is None else read_traces(like).traces
    return attribute([one for one in (*found.traces, *models) if is_certain(one)], uncertain(found))


def uncertain(found: TraceSet) -> list[Call]:
    """Calls of no run, and those of runs that were only inferred."""
    inferred = (trace.calls for trace in found.traces if not is_certain(trace))
    return [*found.unassigned, *(call for calls in inferred for call in calls)]


def write(out: Path, found: TraceSet, seen: Attribution) -> None:
    """Writes a new trace directory: the certain runs, and those found by templates."""
    if holds_traces(out):
        raise BadInput(f"--attributed {out}: holds traces already; name a new directory")
    certain = [trace for trace in found.traces if is_certain(trace)]
    with TraceWriter(out) as writer:
        for trace in (*certain, *seen.runs):
            for call in trace.calls:
                writer.append(call)
            about = {name: getattr(trace, name) for name in ("run", "workflow", "start", "end")}
            writer.mark(RunMark(**about, ok=trace.ok))


def show(seen: Attribution, calls: Sequence[Call], screen: Console) -> None:
    """A table for each workflow that some of the calls belong to."""
    for total in seen.totals:
        rows = [
            (
                one.llm,
                one.calls,
                "unknown" if one.n is None else f"{one.n:.2f}",
                seconds(one.duration),
                f"{one.time_share:.1%}",
            )
            for one in total.llms
        ]
        title = f"{total.workflow}: calls of no certain run"
        screen.print(table(title, ("LLM", "calls", "n", "call", "time share"), rows))
        count = sum(one.calls for one in total.llms)
        runs = "an unknown number of" if total.runs is None else f"{total.runs:.3g}"
        screen.print(
            f"{count} calls of no certain run come from {runs} runs of {total.workflow} "
            f"(confidence {total.confidence:g})",
            soft_wrap=True,
        )
        for reason in total.refused:
            screen.print(f"  {total.workflow}: {reason}", style="yellow")
    for note in seen.notes:
        screen.print(f"  {note}", style="yellow")
    if calls:
        whole = sum(len(run.calls) for run in seen.runs)
        screen.print(
            f"{len(seen.runs)} whole runs with {whole} calls were found; "
            f"{seen.left} calls are in none of them",
            soft_wrap=True,
        )
