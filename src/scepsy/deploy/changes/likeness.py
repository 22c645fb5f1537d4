"""Which running replicas may stay as they are for a wanted one."""

from __future__ import annotations

from scepsy.core.plan import Replica
from scepsy.deploy.changes.observed import GpuId, ObservedReplica

NEAR = 0.02
"""Relative difference between two shares below which a restart is not worth it. Plans that are made
again from new traces differ by this much in the shares of LLMs whose load has not changed.
"""


def gpus_of(replica: Replica) -> frozenset[GpuId]:
    """The GPUs that a replica is on."""
    return frozenset((part.node, part.gpu) for part in replica.slices)


def may_stay(one: ObservedReplica) -> bool:
    """Whether a replica could serve on: it has not failed, and is what would be started now."""
    return not one.failed and not one.outdated


def near(running: Replica, wanted: Replica) -> bool:
    """Whether the two have nearly the same size: the same TP degree, and shares within `NEAR`."""
    return (
        running.llm == wanted.llm
        and running.tp == wanted.tp
        and _near(running.gpu_share, wanted.gpu_share)
        and _near(running.memory_share, wanted.memory_share)
    )


def difference(running: Replica, wanted: Replica) -> float:
    """How much two replicas of nearly the same size differ; 0 for the same shares."""
    compute = abs(running.gpu_share - wanted.gpu_share)
    return compute + abs(running.memory_share - wanted.memory_share)


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= NEAR * max(one, other)
