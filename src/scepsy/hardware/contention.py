"""The slowdown of engines by one another on a shared GPU: the one place where it is computed.

A share of a GPU (NVIDIA MPS) is a share of its multiprocessors. Memory bandwidth is not
partitioned. When the engines on a GPU together want more bandwidth than it has, each gets a part in
proportion, and the memory-bound part of its steps takes longer (processor sharing). A GPU share
therefore suits LLMs that are rarely busy: what counts is which engines compute at the same time.

`slowdown` and `bandwidth_wanted` apply to one step. The simulator (`sim.cluster.replica`) and the
emulated engine (`engines.emulated.pacer`) ask them step by step; the predictor
(`predict.neighbours`) takes the mean over which engines are busy (`mean_slowdowns`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

GRAIN = 100
"""Sums of bandwidth are counted in steps of 1 / GRAIN: one percent of a GPU's bandwidth."""


def bandwidth_wanted(memory_bound: float, kept: float) -> float:
    """Part of a GPU's bandwidth that an engine moves in a step that reads memory during the part
    `memory_bound` of its time. While it reads, it draws `kept`: all that its share of the
    multiprocessors can draw (`gpus.bandwidth_kept`).
    """
    return memory_bound * kept


def slowdown(memory_bound: float, wanted: float) -> float:
    """How many times as long such a step takes while all engines on its GPU together want `wanted`
    of the bandwidth; 1 up to a `wanted` of 1.
    """
    return 1.0 + memory_bound * max(0.0, wanted - 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One engine on a shared GPU, as it is when alone there.

    Attributes:
        busy_runs: mean number of workflow runs that wait for it at any time (Little's law).
        memory_bound: part of its busy time in which it reads memory.
        kept: part of the GPU's bandwidth that its GPU share can draw.
    """

    busy_runs: float
    memory_bound: float
    kept: float

    @property
    def busy(self) -> float:
        """Part of the time in which it computes, if runs come independently of one another."""
        return 1.0 - math.exp(-self.busy_runs)

    @property
    def wanted(self) -> float:
        """Part of the GPU's bandwidth that it moves while it computes."""
        return bandwidth_wanted(self.memory_bound, self.kept)


def mean_slowdowns(tenants: Sequence[Tenant]) -> tuple[float, ...]:
    """For each tenant: how many times as long its calls take as alone on the GPU, on average.

    The mean over which of the others compute at the same time, each independently. It leaves out
    that a slowed neighbour is busy for longer; where that matters, the plan is saturated anyway.
    """
    found: list[float] = []
    for index, tenant in enumerate(tenants):
        others = _wanted([other for place, other in enumerate(tenants) if place != index])
        found.append(
            sum(
                chance * slowdown(tenant.memory_bound, tenant.wanted + steps / GRAIN)
                for steps, chance in others.items()
            )
        )
    return tuple(found)


def _wanted(tenants: Sequence[Tenant]) -> dict[int, float]:
    """The probability of every sum of bandwidths wanted, in steps of 1 / GRAIN."""
    chances = {0: 1.0}
    for tenant in tenants:
        steps = round(tenant.wanted * GRAIN)
        after: dict[int, float] = {}
        for total, chance in chances.items():
            after[total] = after.get(total, 0.0) + chance * (1.0 - tenant.busy)
            after[total + steps] = after.get(total + steps, 0.0) + chance * tenant.busy
        chances = after
    return chances
