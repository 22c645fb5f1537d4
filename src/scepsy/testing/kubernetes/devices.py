"""Which GPUs of a node each pod has: what a device plugin decides (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scepsy.testing.kubernetes.node_objects import NodeSpec


@dataclass(slots=True)
class Devices:
    """The GPUs of one node, as shares of which pods hold some."""

    node: NodeSpec
    _held: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])

    def take(self, pod: str, spec: dict[str, Any]) -> tuple[int, ...]:
        """The GPUs of a pod, by uid: those with the most free shares. A pod keeps what it has until
        `release`. Raises LookupError where too few are free, which the scheduler prevents.
        """
        if pod in self._held:
            return self._held[pod]
        wanted = sum(
            int(one.get("resources", {}).get("limits", {}).get(self.node.resource, 0))
            for one in spec["containers"]
        )
        free = {
            gpu: self.node.shares - sum(held.count(gpu) for held in self._held.values())
            for gpu in range(self.node.gpus)
        }
        chosen: list[int] = []
        for _ in range(wanted):
            best = max(free, key=lambda gpu: (free[gpu], -gpu), default=None)
            if best is None or free[best] < 1:
                raise LookupError(f"{self.node.name} has too few free GPUs for pod {pod}")
            free[best] -= 1
            chosen.append(best)
        self._held[pod] = tuple(chosen)
        return self._held[pod]

    def release(self, pod: str) -> None:
        self._held.pop(pod, None)
