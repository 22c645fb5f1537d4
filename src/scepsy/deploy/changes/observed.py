"""What a backend sees of a deployment, and what is wanted instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan, Replica

ReplicaState = Literal["starting", "ready", "draining", "drained", "sleeping", "hung", "dead"]
"""The state of a replica that is known to a deployment.

- "starting": its engine does not accept requests yet.
- "ready": it accepts requests, whether or not it is routed to.
- "draining": its route has been removed, and calls may be in flight.
- "drained": its drain has ended. Nothing is in flight, or the time that calls are given is over.
- "sleeping": its process lives, but its weights are not on the GPU.
- "hung": its process lives and does not answer.
- "dead": its process has ended, or its node is gone. Processes that it left behind may hold memory.
"""

GpuId = tuple[str, int]
"""Name of the node, and number of the GPU in it from 0."""


@dataclass(frozen=True, slots=True)
class ObservedReplica:
    """One replica as a backend sees it.

    Attributes:
        replica: its running name, its size, and the GPUs that it is on.
        state: what its engine does.
        routed: whether the gateway sends calls to it.
        epoch: number of the plan that it belongs to, at least 1.
        outdated: whether it would be started otherwise now: with other options, or as another
            version of its LLM.
        memory_held: of a sleeping replica, the part of each of its GPUs' memory that it still
            holds. None means all that it has when awake.
    """

    replica: Replica
    state: ReplicaState = "ready"
    routed: bool = True
    epoch: int = 1
    outdated: bool = False
    memory_held: float | None = None

    @property
    def name(self) -> str:
        return self.replica.replica

    @property
    def failed(self) -> bool:
        """Whether it must be stopped before anything else, because it will never serve again."""
        return self.state in ("hung", "dead")

    @property
    def serves(self) -> bool:
        """Whether it counts as capacity."""
        return self.state == "ready" and self.routed


@dataclass(frozen=True, slots=True)
class Observed:
    """The state of a deployment.

    Attributes:
        replicas: every replica that may hold a part of a GPU, with distinct names.
        weights: (node, name of LLM) where the weights are on a node and stay there, for example in
            a cache on its disk. Must not shrink while a change is under way.
        start_seconds: by name of LLM, how long the start of one of its engines took the last time.
    """

    replicas: tuple[ObservedReplica, ...] = ()
    weights: frozenset[tuple[str, str]] = frozenset()
    start_seconds: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Wanted:
    """The plan that is to run.

    Attributes:
        plan: which replicas run where.
        epoch: the plan's number in its deployment. It is higher than that of every plan before it.
    """

    plan: Plan
    epoch: int = 1

    @property
    def replicas(self) -> tuple[Replica, ...]:
        return self.plan.placement.replicas

    @property
    def llms(self) -> dict[str, LlmSpec]:
        """The LLMs by name."""
        return {llm.name: llm for llm in self.plan.llms}
