"""The records of a local deployment: what is remembered between commands."""

from __future__ import annotations

from collections.abc import Sequence

from scepsy.core.plan import Plan, Replica
from scepsy.core.record import Record
from scepsy.engines import EngineOptions


class RunningReplica(Record, frozen=True, kw_only=True):
    """An engine process.

    Attributes:
        born: when the process started, in clock ticks since boot. A later process with the same
            `pid` has another birth.
        log: path of its log.
        launched: `launch_digest` of what it was started with; empty until it is ready.
    """

    replica: Replica
    pid: int
    born: int
    url: str
    log: str
    launched: str = ""


class RunningGateway(Record, frozen=True, kw_only=True):
    """The gateway process. Its fields are those of `RunningReplica`."""

    pid: int
    born: int
    url: str
    log: str


class Deployment(Record, frozen=True, kw_only=True):
    """A plan and the processes that serve it. It is written as soon as there is a process, so that
    none is lost.

    `options` are those that the engines were started with.
    """

    name: str
    plan: Plan
    replicas: tuple[RunningReplica, ...] = ()
    gateway: RunningGateway | None = None
    options: EngineOptions = EngineOptions()
    format: int = 1


def addresses(replicas: Sequence[RunningReplica]) -> list[tuple[Replica, str]]:
    """Each replica and its URL."""
    return [(one.replica, one.url) for one in replicas]
