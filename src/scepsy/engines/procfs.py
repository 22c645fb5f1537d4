"""Identifies processes by pid and start time, from Linux' /proc, and signals them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
"""The option of prctl(2) that sets the signal sent when the parent ends."""


def identity(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None where there is no such process.
    Together with the pid it identifies a process until the machine boots again.
    """
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def is_alive(pid: int, born: int) -> bool:
    """Whether this process runs. A process that has ended and waits to be reaped does not."""
    fields = _stat(pid)
    return fields is not None and int(fields[19]) == born and fields[0] not in "ZX"


def end_group(pid: int, born: int, sign: signal.Signals) -> bool:
    """Sends `sign` to the process group of this process, which leads a session of its own. Returns
    False where no process of the group is left.

    Child processes may outlive it: when vLLM's server is killed, its engine core lives on and holds
    the GPU. As long as a child lives, no other process gets the pid.
    """
    found = identity(pid)
    if found is None and not _left_behind(pid, born):
        return False
    if found not in (None, born):
        return False
    with suppress(ProcessLookupError):
        os.killpg(pid, sign)
    return True


@dataclass(frozen=True, slots=True)
class Session:
    """A session of processes: the pid of its leader, and when the leader started. Where the leader
    has ended, `born` is when one of the others started.
    """

    pid: int
    born: int


def session_of(pid: int) -> Session | None:
    """The session that a process is in; None where there is no such process."""
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    leader = int(fields[3])
    born = identity(leader)
    return Session(leader, int(fields[19]) if born is None else born)


def _left_behind(pid: int, born: int) -> bool:
    """Whether the session of a process that has ended has other processes, all of them younger."""
    births: list[int] = []
    for path in Path("/proc").iterdir():
        fields = _stat(int(path.name)) if path.name.isdigit() else None
        if fields is not None and int(fields[2]) == int(fields[3]) == pid:
            births.append(int(fields[19]))
    return bool(births) and min(births) >= born


def end_with_parent(parent: int) -> None:
    """Asks the kernel to send this process SIGTERM when its parent process ends. Exits at once
    where the parent has ended already.
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
