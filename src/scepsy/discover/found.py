"""GPUs and nodes as they were found, before they are described as a cluster (pure)."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundGpu:
    """One GPU of a node.

    Attributes:
        product: product name, as in "NVIDIA H100 80GB HBM3"; empty where nothing tells it.
        memory: bytes that a process can allocate at most; None where nothing tells it.
        uuid: UUID; None where nothing tells it.
        taken: why a plan must not use it, as the end of "GPU 3: ..."; None where it is free.
    """

    product: str
    memory: float | None = None
    uuid: str | None = None
    taken: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundNode:
    """One machine.

    Attributes:
        name: name of the machine.
        gpus: its GPUs, in the order of their numbers.
        linked: pairs of numbers of GPUs that NVLink joins, the lower number first; None where
            nothing tells it.
        rack: the rack in which it stands, None where nothing tells it.
        shares_per_gpu: number of equal shares into which the node divides each GPU, 1 where it
            divides none; None where nothing tells it.
        notes: sentences about what could not be found out.
    """

    name: str
    gpus: tuple[FoundGpu, ...]
    linked: frozenset[tuple[int, int]] | None = None
    rack: str | None = None
    shares_per_gpu: int | None = None
    notes: tuple[str, ...] = ()
