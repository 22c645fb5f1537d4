"""The records of a local deployment: what is remembered between commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from scepsy.core.plan import Replica
from scepsy.core.record import Record
from scepsy.deploy.accepted import AcceptedPlan
from scepsy.engines import EngineOptions

STATE_FORMAT = 2

Phase = Literal["starting", "serving", "draining", "drained"]
"""Of a replica: "starting" until it was seen ready, "draining" from when its route was removed,
"drained" once its calls have ended or the time that they were given is over.
"""


class RunningReplica(Record, frozen=True, kw_only=True):
    """An engine process.

    Attributes:
        born: when the process started, in clock ticks since boot. A later process with the same
            `pid` has another birth.
        log: path of its log.
        launched: `launch_digest` of what it was started with.
        epoch: number of the plan that it belongs to.
        phase: see `Phase`.
    """

    replica: Replica
    pid: int
    born: int
    url: str
    log: str
    launched: str = ""
    epoch: int = 1
    phase: Phase = "serving"

    @property
    def name(self) -> str:
        return self.replica.replica


class RunningGateway(Record, frozen=True, kw_only=True):
    """The gateway process. Its fields are those of `RunningReplica`."""

    pid: int
    born: int
    url: str
    log: str


class RunningSupervisor(Record, frozen=True, kw_only=True):
    """The process that restarts engines. Its fields are those of `RunningReplica`."""

    pid: int
    born: int
    log: str


class Deployment(AcceptedPlan, frozen=True, kw_only=True):
    """A plan and the processes that serve it. It is written as soon as there is a process, so that
    none is lost.

    Attributes:
        options: what engines are started with.
        port: port of the gateway; 0 before there was one.
        traces: directory in which the gateway records calls; None records nothing.
    """

    name: str
    epoch: int = 1
    replicas: tuple[RunningReplica, ...] = ()
    gateway: RunningGateway | None = None
    supervisor: RunningSupervisor | None = None
    options: EngineOptions = EngineOptions()
    port: int = 0
    traces: str | None = None
    format: int = STATE_FORMAT


def addresses(replicas: Sequence[RunningReplica]) -> list[tuple[Replica, str]]:
    """Each replica and its URL."""
    return [(one.replica, one.url) for one in replicas]
