"""The machines: nodes of GPUs."""

from __future__ import annotations

from scepsy.core.record import Record


class Node(Record, frozen=True, kw_only=True):
    """One machine with equal GPUs.

    Attributes:
        name: name of the machine in plans.
        gpus: number of GPUs.
        gpu_type: type of the GPUs, in lower case: "a100", "b200", "h100", "h200", "l40s".
        nvlink_domain: number of consecutive GPUs that share the fast interconnect; None means the
            whole node. A tensor-parallel group never leaves one domain.
    """

    name: str
    gpus: int
    gpu_type: str = "h100"
    nvlink_domain: int | None = None

    @property
    def domain_size(self) -> int:
        return self.gpus if self.nvlink_domain is None else self.nvlink_domain

    @property
    def domains(self) -> tuple[range, ...]:
        """The GPUs of each NVLink domain; the last may be smaller."""
        size = self.domain_size
        return tuple(
            range(first, min(first + size, self.gpus)) for first in range(0, self.gpus, size)
        )


class Cluster(Record, frozen=True, kw_only=True):
    """All the machines that a plan may use.

    Attributes:
        nodes: the machines.
        gpu_memory: memory of one GPU in bytes, the same for all.
    """

    nodes: tuple[Node, ...]
    gpu_memory: float = 80e9

    @property
    def gpus(self) -> int:
        return sum(node.gpus for node in self.nodes)

    @property
    def largest_domain(self) -> int:
        return max((min(node.domain_size, node.gpus) for node in self.nodes), default=0)
