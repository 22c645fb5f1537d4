"""Tells a process from a later one of the same pid, by what Linux says in /proc."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def identity(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None where there is none. With the pid
    it names one process for good (until the machine boots again).
    """
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def is_alive(pid: int, born: int) -> bool:
    """Whether that very process runs; one that ended and waits to be reaped does not."""
    fields = _stat(pid)
    return fields is not None and int(fields[19]) == born and fields[0] not in "ZX"


def end_group(pid: int, born: int, sign: signal.Signals) -> bool:
    """Send `sign` to the process group of that very process, which leads a session of its own.
    False where nobody of it is left.

    What it started may outlive it: vLLM's engine core does when its server is killed, and keeps the
    GPU. While there are such, no other process gets that pid.
    """
    found = identity(pid)
    if found is None and not _left_behind(pid, born):
        return False
    if found not in (None, born):
        return False
    with suppress(ProcessLookupError):
        os.killpg(pid, sign)
    return True


def _left_behind(pid: int, born: int) -> bool:
    """Whether the session of a process that is gone has others, all younger than it was."""
    births: list[int] = []
    for path in Path("/proc").iterdir():
        fields = _stat(int(path.name)) if path.name.isdigit() else None
        if fields is not None and int(fields[2]) == int(fields[3]) == pid:
            births.append(int(fields[19]))
    return bool(births) and min(births) >= born


def end_with_parent(parent: int) -> None:
    """Ask the kernel to send this process SIGTERM when the process `parent`, which started it,
    ends. Exits at once where it has ended already.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)


def _stat(pid: int) -> list[str] | None:
    """Fields 3 and on of /proc/PID/stat; the name before them may hold blanks and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
