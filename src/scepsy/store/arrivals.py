"""Reads recorded arrival times from public request traces."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from scepsy.convert.instants import instant
from scepsy.errors import BadInput
from scepsy.store.files import lines_of

_KNOWN = (
    "known are JSON lines with `timestamp`, CSV with TIMESTAMP, and a number of seconds per line"
)


class _Request(msgspec.Struct):
    """A line of a Mooncake trace; its other fields are ignored."""

    timestamp: float


def read_arrivals(path: Path) -> list[float]:
    """Rising times in seconds since the first, from

    - JSON lines with `timestamp` in milliseconds (Mooncake),
    - CSV with a column TIMESTAMP of dates (Azure's LLM inference traces),
    - a number of seconds per line.

    Raises NotFound, or BadInput that names the line.
    """
    try:
        times = sorted(_times(path, (line.decode("utf-8-sig") for line in lines_of(path))))
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not text: {error}") from None
    if len(times) < 2 or times[0] == times[-1]:
        raise BadInput(f"{path}: {len(times)} arrival times; at least two different are needed")
    return [time - times[0] for time in times]


def _times(path: Path, lines: Iterable[str]) -> Iterator[float]:
    read: Callable[[str], float | None] | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            read = read or _reader(line)
            time = read(line)
        except (ValueError, IndexError, RecursionError, csv.Error, msgspec.DecodeError) as error:
            raise BadInput(f"{path}:{number}: no arrival time ({error}); {_KNOWN}") from None
        if time is None:
            continue
        if not math.isfinite(time):
            raise BadInput(f"{path}:{number}: {time} is no arrival time")
        yield time


def _reader(first: str) -> Callable[[str], float | None]:
    """Reads the time in a line of a file that begins with the line `first`; None for that line
    where it names the columns.
    """
    if first.lstrip().startswith("{"):
        decoder = msgspec.json.Decoder(_Request)
        return lambda line: decoder.decode(line).timestamp / 1e3
    names = [name.strip() for name in next(csv.reader([first]))]
    if "TIMESTAMP" not in names:
        return float
    column = names.index("TIMESTAMP")
    return lambda line: None if line is first else _date(next(csv.reader([line]))[column])


def _date(text: str) -> float:
    found = instant(text)
    if found is None:
        raise ValueError(f"{text!r} is no date")
    return found
