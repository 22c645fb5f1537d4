"""Trace directories: files of calls, one call a line, and of run marks, one mark a line."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec

from scepsy.core.trace import Call, RunMark, Trace
from scepsy.errors import BadInput, NotFound
from scepsy.store.lines import open_lines, read_lines, write_line
from scepsy.store.trace_files import files_of, make_directory

CALLER_LEFT = 499
_COUNTS = ("prompt_tokens", "cached_tokens", "output_tokens", "max_tokens")

_R = TypeVar("_R", Call, RunMark)


@dataclass(frozen=True, slots=True)
class TraceSet:
    """What a trace directory holds.

    Attributes:
        traces: the runs, by their start.
        warnings: sentences on what was left out.
        unassigned: calls that no run could be found for.
    """

    traces: tuple[Trace, ...]
    warnings: tuple[str, ...] = ()
    unassigned: tuple[Call, ...] = ()


class TraceWriter:
    """Appends to `calls.jsonl` and `runs.jsonl` of a trace directory, which it makes. Only the
    owner may read them.

    A line is one write(2) in append mode, so a crash tears at most the last line; opening the
    directory again cuts such a line off. Close it, or use it as a context manager.

    Raises BadInput where the directory cannot be written, OSError where a line cannot.
    """

    def __init__(self, directory: Path) -> None:
        try:
            make_directory(directory)
            self._calls = open_lines(directory / "calls.jsonl")
            self._runs = open_lines(directory / "runs.jsonl")
        except OSError as error:
            raise BadInput(f"{directory}: cannot be written: {error.strerror}") from error

    def append(self, call: Call) -> None:
        write_line(self._calls, call)

    def mark(self, mark: RunMark) -> None:
        write_line(self._runs, mark)

    def close(self) -> None:
        os.close(self._calls)
        os.close(self._runs)

    def __enter__(self) -> TraceWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def read_traces(directory: Path, workflow: str | None = None) -> TraceSet:
    """The runs in a trace directory, those of `workflow` only where one is named. The files of all
    gateways that wrote there are merged.

    A run lasts from the start to the end of its mark; one without a mark, from its first call's
    start to its last call's end, and it went well when the last call that it waited for did.

    Raises:
        NotFound: the directory or its calls are not there.
        BadInput: a line is malformed; names the file, the line and the field. A torn last line is
            no error but a warning: it is what a crash leaves.
    """
    if directory.is_file():
        raise BadInput(f"{directory}: this is a file; give the directory that `scepsy trace` wrote")
    files = files_of(directory, "calls")
    if not files:
        raise NotFound(f"{directory}: no calls*.jsonl here; is it the --out of `scepsy trace`?")
    warnings: list[str] = []
    read = [call for call in _read_all(files, Call, warnings) if workflow in (None, call.workflow)]
    calls = [_believed(call) for call in read]
    wrong = sum(one is not call for one, call in zip(calls, read, strict=True))
    if wrong:
        warnings.append(
            f"{wrong} of {len(calls)} calls have a count below zero, or of no input; such counts "
            "are taken as unknown"
        )
    marks: dict[tuple[str, str], RunMark] = {}
    for mark in _read_all(files_of(directory, "runs"), RunMark, warnings):
        marks[mark.workflow, mark.run] = mark
    unassigned = tuple(call for call in calls if call.layer == "none")
    if unassigned:
        warnings.append(_unassigned_warning(len(unassigned), len(calls)))
    traces = _group((call for call in calls if call.layer != "none"), marks)
    return TraceSet(traces, tuple(warnings), unassigned)


def _believed(call: Call) -> Call:
    """The call without counts that cannot be: the same one, where all can be."""
    counts = {name: getattr(call, name) for name in _COUNTS}
    wrong: dict[str, int | None] = {
        name: None for name, count in counts.items() if count is not None and count < 0
    }
    if call.items < 1:
        wrong["items"] = 1
    return msgspec.structs.replace(call, **wrong) if wrong else call


def _unassigned_warning(missing: int, total: int) -> str:
    """No workflow counts these calls, so a plan would be made for less load than there is."""
    return (
        f"{missing} of {total} calls ({missing / total:.0%}) belong to no known run and count in "
        "no workflow: n and rates come out too small. Mark runs (`scepsy trace`, `workflow`), "
        "or infer them with `scepsy traces --like`"
    )


def _group(calls: Iterable[Call], marks: dict[tuple[str, str], RunMark]) -> tuple[Trace, ...]:
    runs: defaultdict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in calls:
        runs[call.workflow, call.run].append(call)
    traces = (_trace(members, marks.get(key)) for key, members in runs.items())
    return tuple(sorted(traces, key=lambda trace: (trace.start, trace.run)))


def _trace(calls: Sequence[Call], mark: RunMark | None) -> Trace:
    ordered = tuple(sorted(calls, key=lambda call: (call.start, call.end, call.call)))
    waited_for = [call for call in ordered if call.status != CALLER_LEFT] or ordered
    return Trace(
        run=ordered[0].run,
        workflow=ordered[0].workflow,
        start=ordered[0].start if mark is None else mark.start,
        end=max(call.end for call in ordered) if mark is None else mark.end,
        calls=ordered,
        ok=max(waited_for, key=lambda call: call.end).ok if mark is None else mark.ok,
    )


def _read_all(files: Iterable[Path], record_type: type[_R], warnings: list[str]) -> Iterator[_R]:
    for path in files:
        try:
            for number, record in _read_file(path, record_type, warnings):
                _check_times(path, number, record)
                yield record
        except NotFound:
            warnings.append(f"{path}: was removed while the traces were read")


def _read_file(path: Path, record_type: type[_R], warnings: list[str]) -> Iterator[tuple[int, _R]]:
    """A file that has been compressed since it was listed is read all the same."""
    try:
        yield from read_lines(path, record_type, warnings)
    except NotFound:
        yield from read_lines(path.with_name(f"{path.name}.gz"), record_type, warnings)


def _check_times(path: Path, number: int, record: Call | RunMark) -> None:
    if not (math.isfinite(record.start) and record.start <= record.end < math.inf):
        raise BadInput(f"{path}:{number}: $.end: {record.end} is before $.start, {record.start}")
