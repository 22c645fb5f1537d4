"""Who holds which part of which GPU."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from scepsy.core.plan import Replica
from scepsy.deploy.changes.limits import Room
from scepsy.deploy.changes.observed import GpuId, ObservedReplica
from scepsy.hardware.equal_shares import SHARE_TOLERANCE


@dataclass(frozen=True, slots=True)
class Part:
    """What one replica holds of one GPU, as fractions of the GPU."""

    gpu: GpuId
    compute: float
    memory: float


def parts_of(replica: Replica) -> tuple[Part, ...]:
    """What a replica holds from the moment it starts until it is gone."""
    return tuple(
        Part((part.node, part.gpu), part.gpu_share, part.memory_share) for part in replica.slices
    )


def parts_held(one: ObservedReplica) -> tuple[Part, ...]:
    """What an observed replica holds now. One that sleeps computes nothing."""
    parts = parts_of(one.replica)
    if one.state != "sleeping":
        return parts
    held = one.memory_held
    return tuple(Part(part.gpu, 0.0, part.memory if held is None else held) for part in parts)


@dataclass(slots=True)
class Ledger:
    """Sums of what replicas hold, GPU by GPU, against the room that there is."""

    gpus: Mapping[GpuId, Room]
    compute: defaultdict[GpuId, float] = field(default_factory=lambda: defaultdict(float))
    memory: defaultdict[GpuId, float] = field(default_factory=lambda: defaultdict(float))

    def copy(self) -> Ledger:
        return Ledger(self.gpus, self.compute.copy(), self.memory.copy())

    def take(self, parts: Iterable[Part]) -> None:
        for part in parts:
            self.compute[part.gpu] += part.compute
            self.memory[part.gpu] += part.memory

    def give_back(self, parts: Iterable[Part]) -> None:
        for part in parts:
            self.compute[part.gpu] -= part.compute
            self.memory[part.gpu] -= part.memory

    def has_room(self, parts: Iterable[Part]) -> bool:
        """Whether all parts, at most one for each GPU, fit beside what is held."""
        return all(self.lacks(part) is None for part in parts)

    def lacks(self, part: Part) -> str | None:
        """What a GPU has too little of for this part: "compute" or "memory". None if it fits."""
        room = self.gpus.get(part.gpu)
        if room is None or self.compute[part.gpu] + part.compute > room.compute + SHARE_TOLERANCE:
            return "compute"
        if self.memory[part.gpu] + part.memory > room.memory + SHARE_TOLERANCE:
            return "memory"
        return None

    def overdrawn(self) -> Iterator[tuple[GpuId, str, float, float]]:
        """(GPU, "compute" or "memory", fraction held, fraction that there is) of each GPU of which
        more is held than there is.
        """
        for gpu in sorted(self.compute):
            room = self.gpus.get(gpu, Room(0.0, 0.0))
            for what, held, there in (
                ("compute", self.compute[gpu], room.compute),
                ("memory", self.memory[gpu], room.memory),
            ):
                if held > there + SHARE_TOLERANCE:
                    yield gpu, what, held, there


def contested(ledger: Ledger, waiting: Iterable[tuple[Part, ...]]) -> frozenset[GpuId]:
    """The GPUs that have too little room for all that wait for them together."""
    sums = ledger.copy()
    touched: Counter[GpuId] = Counter()
    for parts in waiting:
        sums.take(parts)
        touched.update(part.gpu for part in parts)
    return frozenset(gpu for gpu, *_ in sums.overdrawn() if touched[gpu])
