"""The ways to run one LLM: a shape (how big a replica is) times a count of replicas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import LlmAllocation

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

StageCosts = Callable[[LlmSpec, int, float, Ints], Floats]
"""(llm, tp, gpu_share, replica counts) -> weighted seconds; inf where saturated or unprofiled."""


@dataclass(frozen=True, slots=True)
class ReplicaSize:
    """One replica: `tp` GPUs, `compute` and `memory` units of each, `grain` units to a GPU.

    Memory is never below compute (see `space.shapes`), so a GPU that holds the memory of its
    replicas holds their compute too: `memory` alone says what a replica takes.
    """

    tp: int
    compute: int
    memory: int
    grain: int

    @property
    def gpu_share(self) -> float:
        return self.compute / self.grain

    @property
    def memory_share(self) -> float:
        return self.memory / self.grain

    def hosts(self, other: ReplicaSize) -> int:
        """How many replicas of shape `other` fit wherever one of this shape does."""
        return (self.tp // other.tp) * (self.memory // other.memory)


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Options of one LLM in columns: the index of its shape, its replicas, its cost in seconds."""

    llm: LlmSpec
    shapes: tuple[ReplicaSize, ...]
    shape: Ints
    replicas: Ints
    cost: Floats

    def __len__(self) -> int:
        return len(self.cost)

    def where(self, mask: Mask) -> Options:
        return Options(
            self.llm, self.shapes, self.shape[mask], self.replicas[mask], self.cost[mask]
        )

    def units(self, weigh: Callable[[ReplicaSize], int]) -> Ints:
        """What each option takes, `weigh` giving that of one replica."""
        weights = np.array([weigh(shape) for shape in self.shapes], dtype=np.int64)
        return weights[self.shape] * self.replicas

    def allocation(self, index: int) -> LlmAllocation:
        shape = self.shapes[int(self.shape[index])]
        return LlmAllocation(
            llm=self.llm.name,
            tp=shape.tp,
            gpu_share=shape.gpu_share,
            memory_share=shape.memory_share,
            replicas=int(self.replicas[index]),
        )
