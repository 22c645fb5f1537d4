"""Logs of engines and gateways: the last few are kept, so that a crash's evidence survives."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

KEPT = 5
"""Older logs that are kept beside the present one: NAME.log.1 is the newest of them."""

_TAIL_BYTES = 16 << 10


def rotate(log: Path) -> None:
    """Makes room for a new log: moves the present one to NAME.log.1, and so on."""
    for number in range(KEPT, 0, -1):
        source = log if number == 1 else _older(log, number - 1)
        with suppress(FileNotFoundError):
            source.replace(_older(log, number))


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _older(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
