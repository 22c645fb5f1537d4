"""What the engines on one emulated GPU know of each other: memory held and bandwidth wanted.

A real GPU refuses an allocation that does not fit, and divides its bandwidth in silicon. Emulated
engines are processes that do not know of one another. Each writes what it holds, and what bandwidth
it wants until when, into a small file that all of them have mapped. Reading and writing cost a
microsecond; a torn read is off by one step's demand for one step.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from scepsy.engines.procfs import identity, is_alive
from scepsy.errors import EngineFailed

_SLOT = struct.Struct("=qqddd")
"""Of one engine: pid and birth of its process, bytes of memory that it holds, bandwidth that it
wants (part of the GPU's), and until when (CLOCK_MONOTONIC, seconds).
"""
_SLOTS = 64
"""Most engines on one GPU."""

_ROUNDING = 1e-6
"""Part of a GPU's memory by which shares may add up to more than one."""

_GIB = float(1 << 30)


def gpu_board(state: Path, node: str, gpu: int) -> Path:
    """The board of one GPU. All engines under the state directory `state` share it, whichever
    command started them.
    """
    return state / ".gpus" / f"{quote(node, safe='')}-{gpu}"


class Board:
    """One engine's place on the board of one GPU; the file is made where it is missing.

    An engine that has ended counts no more, however it ended: its memory is free at once, its
    demand for bandwidth when that has run out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owner = os.getpid(), identity(os.getpid()) or 0
        self._memory = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked() as descriptor:
            os.ftruncate(descriptor, _SLOT.size * _SLOTS)
            self._map = mmap.mmap(descriptor, _SLOT.size * _SLOTS)
            self._mine = self._claim()
            self._write(0.0, 0.0)

    def hold(self, share: float, gpu_memory: float) -> None:
        """Take `share` of the GPU's `gpu_memory` bytes until this process ends.

        Raises EngineFailed, in vLLM's words, where others have left less than that.
        """
        with self._locked():
            held = {
                pid: memory
                for slot, (pid, born, memory, _, _) in self._slots()
                if slot != self._mine and memory > 0 and is_alive(pid, born)
            }
            free, wanted = max(0.0, gpu_memory - sum(held.values())), share * gpu_memory
            if wanted > free + _ROUNDING * gpu_memory:
                raise EngineFailed(
                    f"Free memory on device {self._path.name} ({free / _GIB:.2f}/"
                    f"{gpu_memory / _GIB:.2f} GiB) on startup is less than desired GPU memory "
                    f"utilization ({share:g}, {wanted / _GIB:.2f} GiB). Decrease GPU memory "
                    "utilization or reduce GPU memory used by other processes "
                    f"(pid {', '.join(map(str, held))})."
                )
            self._memory = wanted
            self._write(0.0, 0.0)

    def post(self, demand: float, seconds: float) -> None:
        """Want this part of the bandwidth for the next `seconds`."""
        self._write(demand, time.monotonic() + seconds)

    def others(self) -> float:
        """The part of the bandwidth that the other engines want now."""
        now = time.monotonic()
        return sum(
            demand
            for slot, (_, _, _, demand, until) in self._slots()
            if slot != self._mine and until > now
        )

    def _slots(self) -> Iterator[tuple[int, tuple[int, int, float, float, float]]]:
        return enumerate(_SLOT.iter_unpack(self._map[:]))

    def _write(self, demand: float, until: float) -> None:
        at = self._mine * _SLOT.size
        _SLOT.pack_into(self._map, at, *self._owner, self._memory, demand, until)

    def _claim(self) -> int:
        """The first slot whose owner is gone. Raises OSError where there is none."""
        for slot, (pid, born, *_) in self._slots():
            if pid == 0 or not is_alive(pid, born):
                return slot
        raise OSError(f"more than {_SLOTS} engines on one emulated GPU")

    @contextmanager
    def _locked(self) -> Generator[int]:
        """The open file, while no other engine changes what it holds."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing would not: the map keeps a duplicate
            os.close(descriptor)
