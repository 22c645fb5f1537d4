"""Where the engines on one emulated GPU tell each other how much memory bandwidth they want.

A real GPU divides its bandwidth in silicon. Emulated engines are processes that do not know of one
another, so each writes its demand, and until when, into a small file that all of them have mapped.
Reading and writing cost a microsecond; a torn read is off by one step's demand for one step.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from pathlib import Path

_SLOT = struct.Struct("=qdd")  # pid, demand, and until when (CLOCK_MONOTONIC, seconds)
_SLOTS = 64


class Board:
    """One engine's place on the board of one GPU; the file is made where it is missing.

    `post` says what part of the bandwidth we want and for how many seconds; `others` is what the
    rest wants now. Whoever dies stops counting when its demand has run out.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.ftruncate(descriptor, _SLOT.size * _SLOTS)
            self._map = mmap.mmap(descriptor, _SLOT.size * _SLOTS)
            self._mine = self._claim()
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing would not: the map keeps a duplicate
            os.close(descriptor)

    def post(self, demand: float, seconds: float) -> None:
        until = time.monotonic() + seconds
        _SLOT.pack_into(self._map, self._mine * _SLOT.size, os.getpid(), demand, until)

    def others(self) -> float:
        now = time.monotonic()
        return sum(
            demand
            for slot, (_, demand, until) in enumerate(_SLOT.iter_unpack(self._map[:]))
            if slot != self._mine and until > now
        )

    def _claim(self) -> int:
        """The first slot whose owner is gone. Raises OSError where there is none."""
        for slot, (pid, _, _) in enumerate(_SLOT.iter_unpack(self._map[:])):
            if pid == 0 or not Path(f"/proc/{pid}").exists():
                _SLOT.pack_into(self._map, slot * _SLOT.size, os.getpid(), 0.0, 0.0)
                return slot
        raise OSError(f"more than {_SLOTS} engines on one emulated GPU")
