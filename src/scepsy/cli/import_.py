"""`scepsy import`: makes a trace directory of other tools' traces."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from scepsy.cli.output import console, emit_json, json_option
from scepsy.cli.traces import Counts, counts, print_demands, summaries
from scepsy.convert import FORMATS, Imported, Span, assemble, detect
from scepsy.errors import BadInput
from scepsy.store import TraceWriter, read_foreign, read_traces

_LOOK = 20
"""Records that are looked at to tell a format."""


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
)
@click.option(
    "--workflow",
    help="Name for all runs  [default: as the traces tell, else the first file's name]",
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
    if (out / "calls.jsonl").exists():
        raise BadInput(f"--out {out}: holds traces already; name a new directory")
    found = _read(files, format_name, workflow, llm)
    with TraceWriter(out) as writer:
        for call in found.calls:
            writer.append(call)
        for mark in found.marks:
            writer.mark(mark)
    _report(out, found, as_json)


def _read(
    files: Sequence[Path], format_name: str, workflow: str | None, llm: str | None
) -> Imported:
    spans = itertools.chain.from_iterable(_spans(file, format_name) for file in files)
    fallback = files[0].name.split(".")[0]
    return assemble(spans, workflow=workflow, fallback=fallback, llm=llm)


def _spans(file: Path, format_name: str) -> Iterator[Span]:
    records = read_foreign(file)
    first = list(itertools.islice(records, _LOOK))
    if not first:
        raise BadInput(f"{file}: holds no record")
    known = FORMATS[detect(first) if format_name == "auto" else format_name]
    if format_name != "auto" and not any(known.recognises(part) for part in first):
        fields = ", ".join(list(first[0].fields)[:8])
        raise BadInput(f"{file}: this is not {known.title}; its first record has {fields}")
    return known.spans(itertools.chain(first, records))


def _report(out: Path, found: Imported, as_json: bool) -> None:
    traces = read_traces(out).traces
    made: list[Counts] = counts(traces)
    demands, without = summaries(traces)
    notes = [*found.notes, *without]
    if as_json:
        emit_json({"out": str(out), "counts": made, "notes": notes, "demands": demands})
        return
    screen = console()
    for note in notes:
        screen.print(f"note: {note}", style="yellow")
    print_demands(demands, screen)
    click.echo(f"\n{len(found.calls)} calls of {len(traces)} runs are in {out}")
