"""Assigns groups of whole GPUs to replicas, each group inside one NVLink domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from scepsy.core.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU of the cluster."""

    node: str
    index: int


class Domains:
    """The free GPUs of every domain, from which groups are taken one by one.

    If group sizes are powers of two and the largest are taken first, best fit is exact: it places
    every set of groups that can be placed. Taking a group reduces the number of smaller groups that
    still fit by the same number in every domain.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._names = [node.name for node in cluster.nodes for _ in node.domains]
        self._free = [domain for node in cluster.nodes for domain in node.domains]
        largest = max(map(len, self._free), default=0)
        self._by_free: list[list[int]] = [[] for _ in range(largest + 1)]
        for domain, gpus in enumerate(self._free):
            self._by_free[len(gpus)].append(domain)
        for domains in self._by_free:
            heapify(domains)

    def take(self, gpus: int) -> tuple[Gpu, ...] | None:
        """Takes `gpus` GPUs of the domain with the fewest free GPUs that are enough; of equal
        domains, of the first. None where no domain has enough.
        """
        for free in range(gpus, len(self._by_free)):
            if self._by_free[free]:
                domain = heappop(self._by_free[free])
                taken, kept = self._free[domain][:gpus], self._free[domain][gpus:]
                self._free[domain] = kept
                heappush(self._by_free[len(kept)], domain)
                return self._gpus(domain, taken)
        return None

    def free(self) -> Iterator[Gpu]:
        """The free GPUs, those of the domains with the fewest free GPUs first."""
        for domain in sorted(range(len(self._free)), key=lambda each: len(self._free[each])):
            yield from self._gpus(domain, self._free[domain])

    @property
    def largest_free(self) -> int:
        """The most free GPUs in one domain."""
        return max(map(len, self._free), default=0)

    def _gpus(self, domain: int, indices: Iterable[int]) -> tuple[Gpu, ...]:
        return tuple(Gpu(self._names[domain], index) for index in indices)
