"""What a supervisor has seen end and has restarted, on disk for `scepsy status`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from scepsy.core.record import Record
from scepsy.deploy.restarts import Failure
from scepsy.errors import BadInput, NotFound
from scepsy.store import read_record, write_record

GATEWAY = "(gateway)"
"""Stands for the gateway among the names of replicas."""


class History(Record, frozen=True, kw_only=True):
    """The failures of one replica since a command has started it.

    Attributes:
        name: name of the replica, or `GATEWAY`.
        failures: the last of them, the oldest first.
        restarts: how often it was started again.
        given_up: whether it is not started any more.
    """

    name: str
    failures: tuple[Failure, ...] = ()
    restarts: int = 0
    given_up: bool = False

    @property
    def last_words(self) -> str:
        """The end of the log of the process that ended last."""
        return self.failures[-1].last_words if self.failures else ""


class RestartLog(Record, frozen=True, kw_only=True):
    """The histories of all replicas that have one."""

    histories: tuple[History, ...] = ()

    def of(self, name: str) -> History:
        """The history of this replica; an empty one where it has none."""
        return next((one for one in self.histories if one.name == name), History(name=name))


def read_restarts(path: Path) -> RestartLog:
    """The log; an empty one where there is none, or it cannot be read."""
    with suppress(NotFound, BadInput):
        return read_record(path, RestartLog)
    return RestartLog()


def write_restarts(path: Path, log: RestartLog) -> None:
    """Replaces the log, if its folder still exists."""
    if path.parent.exists():
        with suppress(BadInput):
            write_record(path, log)
