"""What engines that share a GPU cost each other.

A share of a GPU (NVIDIA MPS) is a share of its multiprocessors. Memory bandwidth is never
partitioned: when the engines on a GPU together ask for more than there is, each gets its part, and
the memory-bound part of its steps takes that much longer (processor sharing). A share is worth most
for LLMs that are rarely busy, so what counts is who computes *at the same time*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

GRAIN = 100
"""Steps in which a sum of bandwidth demands is counted: one percent of a GPU's bandwidth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One engine on a shared GPU, as it is alone there.

    Attributes:
        busy_runs: mean number of runs that wait for it at any time (Little's law).
        traffic: part of the GPU's bandwidth that it moves while it computes.
        memory_bound: part of its computing time in which it waits for memory.
    """

    busy_runs: float
    traffic: float
    memory_bound: float

    @property
    def busy(self) -> float:
        """Part of the time in which it computes, were the runs independent of one another."""
        return 1.0 - math.exp(-self.busy_runs)

    def stretched(self, bandwidth_wanted: float) -> float:
        """Its step, relative to one alone, while all who compute want so much bandwidth."""
        return 1.0 + self.memory_bound * max(0.0, bandwidth_wanted - 1.0)


def stretches(tenants: Sequence[Tenant]) -> tuple[float, ...]:
    """How much longer the calls of each take than alone on the GPU, on average; at least 1.

    The mean over who else computes, each independently of the others. That they are busy longer for
    being stretched is left out: where it would count, the plan is past its knee anyway.
    """
    found: list[float] = []
    for index, tenant in enumerate(tenants):
        others = _wanted([other for place, other in enumerate(tenants) if place != index])
        found.append(
            sum(
                chance * tenant.stretched(tenant.traffic + steps / GRAIN)
                for steps, chance in others.items()
            )
        )
    return tuple(found)


def _wanted(tenants: Sequence[Tenant]) -> dict[int, float]:
    """The chance of every sum of bandwidth demands, in steps of 1 / GRAIN."""
    chances = {0: 1.0}
    for tenant in tenants:
        steps = round(tenant.traffic * GRAIN)
        after: dict[int, float] = {}
        for total, chance in chances.items():
            after[total] = after.get(total, 0.0) + chance * (1.0 - tenant.busy)
            after[total + steps] = after.get(total + steps, 0.0) + chance * tenant.busy
        chances = after
    return chances
