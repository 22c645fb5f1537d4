"""`scepsy import`: makes a trace directory of other tools' traces."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from scepsy.cli.output import console, emit_json, json_option
from scepsy.cli.terminal import echo
from scepsy.cli.traces import Counts, counts, print_demands, summaries
from scepsy.convert import FORMATS, Findings, Imported, Span, assemble, detect, spans_of
from scepsy.errors import BadInput
from scepsy.report import wording
from scepsy.store import TraceWriter, holds_traces, read_foreign, read_traces

_LOOK = 20
"""Records that are looked at to tell a format."""


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file that was read, and its format in words."""

    file: str
    format: str


@click.command("import")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New trace directory.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["auto", *FORMATS]),
    default="auto",
    show_default=True,
    help="Format of the files; auto tells it by their first records.",
)
@click.option(
    "--workflow",
    help="Name for all runs.  [default: as the traces tell, else the first file's name]",
)
@click.option("--llm", help="LLM of the calls that name none.")
@json_option
def command(
    files: tuple[Path, ...],
    out: Path,
    format_name: str,
    workflow: str | None,
    llm: str | None,
    as_json: bool,
) -> None:
    """Read traces of other tools, and write the LLM calls in them as a trace directory.

    JSON, JSON lines and CSV, gzipped or not. Example:

      scepsy import spans.jsonl --out traces
    """
    if holds_traces(out):
        raise BadInput(f"--out {out}: holds traces already; name a new directory")
    more = len(files) - 1
    findings = Findings()
    sources: list[FileRead] = []
    found = assemble(
        itertools.chain.from_iterable(
            _spans(file, format_name, findings, sources) for file in files
        ),
        workflow=workflow,
        fallback=files[0].name.split(".")[0],
        llm=llm,
        findings=findings,
        source=f"{files[0]} and {more} more" if more else str(files[0]),
    )
    with TraceWriter(out) as writer:
        for call in found.calls:
            writer.append(call)
        for mark in found.marks:
            writer.mark(mark)
    _report(out, found, sources, as_json)


def _spans(
    file: Path, format_name: str, findings: Findings, sources: list[FileRead]
) -> Iterator[Span]:
    records = read_foreign(file, findings)
    first = list(itertools.islice(records, _LOOK))
    if not first:
        left = "; ".join(str(one) for one in findings.left_out[:3])
        raise BadInput(
            f"{file}: it holds no record that can be read: {left}"
            if left
            else f"{file}: it holds no record. Does the export cover the time of the runs?"
        )
    name = detect(first) if format_name == "auto" else format_name
    known = FORMATS[name]
    if format_name != "auto" and not any(known.recognises(part) for part in first):
        raise BadInput(
            f"{file}: it does not hold {known.title}; its first record has {first[0].names}"
        )
    sources.append(FileRead(str(file), known.title))
    yield from spans_of(name, itertools.chain(first, records))


def _report(out: Path, found: Imported, sources: Sequence[FileRead], as_json: bool) -> None:
    traces = read_traces(out).traces
    made: list[Counts] = counts(traces)
    demands, without = summaries(traces)
    notes = [*found.notes, *without]
    if as_json:
        emit_json(
            {
                "out": str(out),
                "files": sources,
                "counts": made,
                "spans": found.spans,
                "skipped": found.skipped,
                "left_out": found.left_out,
                "unknown": found.unknown,
                "notes": notes,
                "demands": demands,
            }
        )
        return
    screen = console()
    for source in sources:
        echo(f"{source.file}: {source.format}")
    skipped = ", ".join(f"{count} {kind}" for kind, count in found.skipped.items())
    others = sum(found.skipped.values())
    not_calls = f"; {others} of them are not LLM calls: {skipped}" if others else ""
    echo(f"{wording.count(found.spans, 'span')}{not_calls}")
    for one in found.left_out:
        screen.print(f"left out: {one}", style="yellow", markup=False)
    for one in found.unknown:
        screen.print(f"unknown: {one}", style="yellow", markup=False)
    for note in notes:
        screen.print(f"note: {note}", style="yellow", markup=False)
    print_demands(demands, screen)
    calls, runs = wording.count(len(found.calls), "call"), wording.count(len(traces), "run")
    echo(f"\n{calls} of {runs}, written to {out}")
