"""What a deployment is doing, on every backend."""

from __future__ import annotations

from typing import Literal

from scepsy.core.record import Record

State = Literal["starting", "ready", "unhealthy", "draining", "dead", "failed"]
"""Of a replica, or of the gateway.

- starting: it runs, and has not answered a health check yet.
- ready: it answers health checks.
- unhealthy: it runs, and does not answer a health check in time.
- draining: it gets no new calls; it finishes those that it has, and then stops.
- dead: it does not run, and will be restarted where the backend restarts replicas.
- failed: it ended so often that it is not restarted any more.
"""


class ReplicaStatus(Record, frozen=True, kw_only=True):
    """The state of one replica.

    Attributes:
        replica, llm: names.
        size: its part of the GPUs in words, for example "TP2".
        gpus: one "node/gpu" for each GPU, for example "n0/3".
        state: see `State`.
        url: where it answers; empty where it has no address yet.
        node: name of the node that it runs on; empty where it runs on none yet.
        epoch: number of the plan that started it.
        restarts: how often its backend has restarted it.
        last_words: the end of its log where it is dead, unhealthy or failed; else empty.
        pid: its process on this machine; None on other backends.
        in_flight, served, failed: calls, as the gateway counts them; None where it does not answer.
    """

    replica: str
    llm: str
    size: str
    gpus: tuple[str, ...]
    state: State
    url: str = ""
    node: str = ""
    epoch: int = 0
    restarts: int = 0
    last_words: str = ""
    pid: int | None = None
    in_flight: int | None = None
    served: int | None = None
    failed: int | None = None


class Status(Record, frozen=True, kw_only=True):
    """The state of a deployment.

    Attributes:
        name: name of the deployment.
        gateway, url: the gateway's state and address.
        replicas: all replicas, those that are draining included.
        epoch: number of the plan that was accepted last.
        notes: sentences about what is wrong beside the replicas, for example that a supervisor does
            not run, or that a change was interrupted.
    """

    name: str
    gateway: State
    url: str
    replicas: tuple[ReplicaStatus, ...]
    epoch: int = 0
    notes: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether the gateway is ready, and every replica is ready or draining."""
        good = ("ready", "draining")
        return self.gateway == "ready" and all(r.state in good for r in self.replicas)
