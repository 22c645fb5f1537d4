"""The records of a deployment: what is remembered between commands, and its status."""

from __future__ import annotations

from typing import Literal

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


State = Literal["ready", "unhealthy", "dead"]


class ReplicaStatus(Record, frozen=True, kw_only=True):
    """The state of one replica. `in_flight`, `served` and `failed` count calls, as the gateway
    reports them; they are None where the gateway does not answer.
    """

    replica: str
    llm: str
    size: str
    gpus: tuple[str, ...]
    state: State
    pid: int
    url: str
    in_flight: int | None = None
    served: int | None = None
    failed: int | None = None


class Status(Record, frozen=True, kw_only=True):
    """The state of a deployment. `gateway` and `url` are the gateway's state and address."""

    name: str
    gateway: State
    url: str
    replicas: tuple[ReplicaStatus, ...]

    @property
    def healthy(self) -> bool:
        """Whether the gateway and every replica are ready."""
        return self.gateway == "ready" and all(r.state == "ready" for r in self.replicas)
