"""Recorded arrival times: what public request traces have in common."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from scepsy.errors import BadInput
from scepsy.store.files import read_bytes


class _Request(msgspec.Struct):
    """A line of a Mooncake trace; what else it tells is not read."""

    timestamp: float


def read_arrivals(path: Path) -> list[float]:
    """Rising times in seconds since the first, from

    - JSON lines with `timestamp` in milliseconds (Mooncake),
    - CSV with a column TIMESTAMP of dates (Azure's LLM inference traces),
    - a number of seconds per line.

    Raises NotFound, or BadInput that names the line.
    """
    try:
        lines = read_bytes(path).decode().splitlines()
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not text: {error}") from None
    times = sorted(_times(path, lines))
    if len(times) < 2 or times[0] == times[-1]:
        raise BadInput(f"{path}: {len(times)} arrival times; at least two different are needed")
    return [time - times[0] for time in times]


def _times(path: Path, lines: Sequence[str]) -> Iterator[float]:
    first = lines[0] if lines else ""
    decoder = msgspec.json.Decoder(_Request)
    column = next(csv.reader([first])).index("TIMESTAMP") if "TIMESTAMP" in first else None
    for number, line in enumerate(lines, start=1):
        if not line.strip() or (column is not None and number == 1):
            continue
        try:
            if first.startswith("{"):
                time = decoder.decode(line).timestamp / 1e3
            elif column is not None:
                time = _date(next(csv.reader([line]))[column])
            else:
                time = float(line)
        except (ValueError, IndexError, msgspec.DecodeError) as error:
            raise BadInput(
                f"{path}:{number}: no arrival time ({error}); known are JSON lines with "
                "`timestamp`, CSV with TIMESTAMP, and a number of seconds per line"
            ) from None
        if not math.isfinite(time):
            raise BadInput(f"{path}:{number}: {time} is no arrival time")
        yield time


def _date(text: str) -> float:
    """Seconds of a date; its fraction may have any number of digits (Azure writes seven)."""
    whole, _, fraction = text.strip().partition(".")
    digits = "".join(c for c in fraction if c.isdigit())
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{digits or 0}")
