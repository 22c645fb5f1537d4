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
        taken: numbers of the GPUs that others use. No plan uses them.
        rack: name of the rack in which the machine stands; None where it is not known.
        uuids: UUIDs of all GPUs, in the order of their numbers; empty where they are not known.
        shares_per_gpu: number of equal shares into which the node divides each GPU, as NVIDIA's
            device plugin does on Kubernetes. Each replica takes one share of compute and memory. 1
            means that replicas take whole GPUs. None means that GPUs can be shared in any way.
            Either all nodes of a cluster have a number or none has.
    """

    name: str
    gpus: int
    gpu_type: str = "h100"
    nvlink_domain: int | None = None
    taken: tuple[int, ...] = ()
    rack: str | None = None
    uuids: tuple[str, ...] = ()
    shares_per_gpu: int | None = None

    @property
    def free(self) -> tuple[int, ...]:
        """Numbers of the GPUs that a plan may use."""
        taken = set(self.taken)
        return tuple(gpu for gpu in range(self.gpus) if gpu not in taken)

    @property
    def domain_size(self) -> int:
        """GPUs that a tensor-parallel group may span: one, where GPUs are divided into shares."""
        if self.shares_per_gpu is not None and self.shares_per_gpu > 1:
            return 1
        return self.gpus if self.nvlink_domain is None else self.nvlink_domain

    @property
    def all_domains(self) -> tuple[range, ...]:
        """All GPUs of each NVLink domain, taken ones included; the last domain may be smaller."""
        size = self.domain_size
        return tuple(
            range(first, min(first + size, self.gpus)) for first in range(0, self.gpus, size)
        )

    @property
    def domains(self) -> tuple[tuple[int, ...], ...]:
        """The free GPUs of each NVLink domain that has any."""
        taken = set(self.taken)
        free = (tuple(gpu for gpu in all_ if gpu not in taken) for all_ in self.all_domains)
        return tuple(gpus for gpus in free if gpus)


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
        """Number of the GPUs that a plan may use."""
        return sum(node.gpus - len(node.taken) for node in self.nodes)

    @property
    def divisions(self) -> dict[int, tuple[Node, ...]]:
        """By number of shares per GPU, rising, the nodes whose GPUs are divided so; empty where
        GPUs can be shared in any way.
        """
        numbers = {node.shares_per_gpu for node in self.nodes}
        return {
            number: tuple(node for node in self.nodes if node.shares_per_gpu == number)
            for number in sorted(each for each in numbers if each is not None)
        }

    @property
    def largest_domain(self) -> int:
        """The most free GPUs in one NVLink domain."""
        return max((len(domain) for node in self.nodes for domain in node.domains), default=0)
