"""Finds processes of a deployment by a mark in their environment, whoever knows of them.

A process has the mark from its first instruction on. So it is found also where the command that
started it was killed before it could note the process.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from scepsy.engines.process import stop_pid
from scepsy.engines.procfs import Session, session_of

MARK = "SCEPSY_DEPLOYMENT"


def mark(folder: Path) -> dict[str, str]:
    """The environment variable that marks processes of the deployment in this folder."""
    return {MARK: str(folder.resolve())}


async def stop_unknown(folder: Path, known: Mapping[int, int]) -> int:
    """Stops every marked process of the deployment whose session is not led by one of the `known`
    processes (pid to birth). Returns how many sessions it stopped.
    """
    found = [one for one in marked(folder) if known.get(one.pid) != one.born]
    for one in found:
        await stop_pid(one.pid, one.born)
    return len(found)


def marked(folder: Path) -> Collection[Session]:
    """The sessions of all marked processes but our own."""
    sought = f"{MARK}={folder.resolve()}".encode()
    ours = os.getsid(0)
    found: dict[int, Session] = {}
    for path in Path("/proc").iterdir():
        if not path.name.isdigit() or not _has(path / "environ", sought):
            continue
        one = session_of(int(path.name))
        if one is not None and one.pid != ours:
            earlier = found.get(one.pid)
            found[one.pid] = one if earlier is None or one.born < earlier.born else earlier
    return found.values()


def _has(environ: Path, entry: bytes) -> bool:
    try:
        return entry in environ.read_bytes().split(b"\0")
    except OSError:  # it has ended, or belongs to somebody else
        return False
