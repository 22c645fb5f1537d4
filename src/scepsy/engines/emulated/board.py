"""Counts the memory that engines hold on one emulated GPU, and the memory bandwidth that they want.

A real GPU refuses an allocation that does not fit, and its hardware divides the bandwidth. Emulated
engines are separate processes. Each writes the memory that it holds, the bandwidth that it wants
and until when, into a small file that all engines on the GPU have mapped. Reading and writing take
a microsecond. A read during a write is wrong by the demand of one step, for one step.
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
"""One engine: pid and birth of its process, bytes of memory that it holds, bandwidth that it wants
(a part of the GPU's), and until when (seconds, CLOCK_MONOTONIC).
"""

_SLOTS = 64
"""Engines on one GPU at most. MPS allows fewer."""

_ROUNDING = 1e-6
"""Part of a GPU's memory by which shares may add up to more than one."""

_GIB = float(1 << 30)


def gpu_board(state: Path, node: str, gpu: int) -> Path:
    """The board of one GPU. All engines under the state directory `state` share it, whichever
    command started them.
    """
    return state / ".gpus" / f"{quote(node, safe='')}-{gpu}"


class Board:
    """One engine's entry on the board of one GPU. The file is made where it is missing.

    The entry of an engine that has ended no longer counts, even if the engine was killed. Its
    memory is free at once, and its demand for bandwidth ends when its time is over.
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
        """Takes `share` of the GPU's `gpu_memory` bytes until this process ends.

        Raises EngineFailed, in vLLM's words, where less than that is free.
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
        """Asks for this part of the bandwidth (0 to 1) for the next `seconds`."""
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
        """The first slot whose process has ended. Raises OSError where there is none."""
        for slot, (pid, born, *_) in self._slots():
            if pid == 0 or not is_alive(pid, born):
                return slot
        raise OSError(f"more than {_SLOTS} engines on one emulated GPU")

    @contextmanager
    def _locked(self) -> Generator[int]:
        """Opens the file and keeps other engines from changing what they hold."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            # Closing would not unlock: the memory map keeps a duplicate of the descriptor.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
