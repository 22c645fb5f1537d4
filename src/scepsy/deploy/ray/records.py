"""What is kept in the cluster about a deployment, and what its actors tell each other."""

from __future__ import annotations

from typing import Literal

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan, Replica
from scepsy.core.record import Record
from scepsy.deploy.accepted import AcceptedPlan
from scepsy.deploy.restarts import RestartPolicy
from scepsy.deploy.status import State
from scepsy.engines import EngineOptions

Phase = Literal["starting", "serving", "draining", "drained"]
"""What a replica was told to do last."""


class KnownReplica(Record, frozen=True, kw_only=True):
    """A replica that a deployment has, or has asked for.

    Attributes:
        epoch: number of the plan that it belongs to.
        started: number of the plan that started it; a part of its actor's name.
        digest: `launch_digest` of what it was started with.
        url: where it answers; empty before it was ready for the first time.
    """

    replica: Replica
    epoch: int
    started: int
    digest: str
    phase: Phase = "starting"
    url: str = ""

    @property
    def name(self) -> str:
        return self.replica.replica

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset(part.node for part in self.replica.slices)


class HeldGpu(Record, frozen=True, kw_only=True):
    """A GPU that a placement group holds, on a cluster that does not give out GPUs by name.

    Attributes:
        node: name of the node.
        index: of the GPU on the node.
        group: name of the placement group.
    """

    node: str
    index: int
    group: str

    @property
    def gpu(self) -> tuple[str, int]:
        return self.node, self.index


class RayDeployment(AcceptedPlan, frozen=True, kw_only=True):
    """A deployment as it is kept in the cluster, so that any machine can go on with it.

    Attributes:
        port: of the gateway; 0 before it has one.
        traces: folder on the gateway's node in which it records calls.
        gateway_node: node of the gateway; empty for the one on which Ray's head runs.
        held: GPUs that placement groups hold for it.
        policy: when engines that end or hang are restarted.
        notes: sentences about what is wrong.
    """

    name: str
    options: EngineOptions = EngineOptions()
    port: int = 0
    traces: str | None = None
    gateway_node: str = ""
    replicas: tuple[KnownReplica, ...] = ()
    held: tuple[HeldGpu, ...] = ()
    policy: RestartPolicy = RestartPolicy()
    notes: tuple[str, ...] = ()
    format: int = 1


class EngineOrder(Record, frozen=True, kw_only=True):
    """All that an actor needs to start the engine of one replica, and to keep it running.

    Attributes:
        gpus: indices of the replica's GPUs on their node, in the order of its slices.
    """

    deployment: str
    epoch: int
    replica: Replica
    llm: LlmSpec
    gpu_type: str
    gpu_memory: float
    gpus: tuple[int, ...]
    options: EngineOptions
    policy: RestartPolicy


class ProcessReport(Record, frozen=True, kw_only=True):
    """A process that an actor keeps running.

    Attributes:
        state: see `State`.
        url: where it answers, or will answer; empty before it was started.
        pid: its process on its node; 0 before it was started.
        restarts, failures: how often it was started again, and how often it ended or hung.
        last_words: the reason of the last failure, and the end of the log.
    """

    state: State
    url: str = ""
    pid: int = 0
    restarts: int = 0
    failures: int = 0
    last_words: str = ""


class Request(Record, frozen=True, kw_only=True):
    """A change that the deployment's controller is asked for; see `Backend.apply`."""

    plan: Plan
    options: EngineOptions
    port: int
    traces: str | None
    grace: float
    allow_dip: bool
    gateway_node: str
    policy: RestartPolicy


class Told(Record, frozen=True, kw_only=True):
    """How far a change is.

    Attributes:
        said: sentences since the last time that was asked.
        done: whether the change has ended. `result` is then an `Applied` or a `TakenDown` as JSON,
            or `error` the stable name of an error with its `message`.
    """

    said: tuple[str, ...] = ()
    done: bool = False
    result: str = ""
    error: str = ""
    message: str = ""
