"""What a change must not exceed, and what it must leave: room on GPUs, and capacity of LLMs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scepsy.core.plan import Plan
from scepsy.deploy.changes.capacity import Capacity
from scepsy.deploy.changes.observed import GpuId


@dataclass(frozen=True, slots=True)
class Room:
    """What a deployment may use of one GPU, as fractions of the GPU.

    Attributes:
        compute: part of its compute.
        memory: part of its memory.
    """

    compute: float = 1.0
    memory: float = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds at every instant of a change.

    Attributes:
        gpus: the room of every GPU that there is. A GPU that is not named is gone, or not ours.
        capacity: what the load needs of every LLM, and what a replica gives.
    """

    gpus: Mapping[GpuId, Room]
    capacity: Capacity = field(default_factory=Capacity)


def limits_of(
    plan: Plan, *, before: Plan | None = None, taken: Mapping[GpuId, Room] | None = None
) -> Limits:
    """The limits of a change to `plan`: the GPUs of its cluster that are free for it, less parts
    that others have `taken`, and the capacity that its load needs. `before` is the plan that runs,
    which tells what a replica of its sizes can do.
    """
    others = taken or {}
    gpus: dict[GpuId, Room] = {}
    for node in plan.cluster.nodes:
        for index in node.free:
            used = others.get((node.name, index), Room(compute=0.0, memory=0.0))
            gpus[node.name, index] = Room(1.0 - used.compute, 1.0 - used.memory)
    return Limits(gpus=gpus, capacity=Capacity.of(plan, before=before))
