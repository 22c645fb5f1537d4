"""The options to run one LLM: the shape of a replica and the number of replicas."""

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
"""(llm, tp, gpu_share, replica counts) -> weighted seconds for each count; inf where the replicas
are saturated or were not profiled.
"""


@dataclass(frozen=True, slots=True)
class ReplicaSize:
    """The shape of one replica.

    Memory is never below compute (see `space.shapes`), so a GPU that holds the memory of its
    replicas holds their compute, too: `memory` alone decides whether replicas fit.

    Attributes:
        tp: GPUs.
        compute: share units of the compute of each of them.
        memory: share units of the memory of each of them.
        grain: share units in one GPU.
        divided: whether GPUs are divided into equal shares beforehand (`Node.shares_per_gpu`), so
            that a replica of this shape takes the place of none of another.
    """

    tp: int
    compute: int
    memory: int
    grain: int
    divided: bool = False

    @property
    def gpu_share(self) -> float:
        return self.compute / self.grain

    @property
    def memory_share(self) -> float:
        return self.memory / self.grain

    def capacity_for(self, other: ReplicaSize) -> int:
        """The number of replicas of shape `other` that fit wherever one of this shape does."""
        if self.divided and other.memory != self.memory:
            return 0
        return (self.tp // other.tp) * (self.memory // other.memory)


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """The options of one LLM as arrays of equal length.

    Attributes:
        shapes: the shapes that occur.
        shape: the index in `shapes` of each option.
        replicas: the number of replicas of each option.
        cost: the weighted seconds that each option adds to the objective.
    """

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
        """The units that each option takes; `weigh` gives those of one replica."""
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
