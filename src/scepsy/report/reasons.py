"""Why a plan gives each LLM what it gets, from the LLMs' shares of the time of a run (pure)."""

from __future__ import annotations

from collections.abc import Mapping

from scepsy.core.plan import LlmAllocation, Plan, size_name
from scepsy.report import wording

SMALL_SHARE = 0.5
"""GPU share up to which a plan is said to give an LLM only a part of a GPU."""


def reasons(plan: Plan) -> tuple[str, ...]:
    """A sentence for each LLM of the plan, the one with the largest share of a run's time first."""
    shares = time_shares(plan)
    most = max((part.gpus for part in plan.allocation.llms), default=0.0)
    ranked = sorted(
        plan.allocation.llms, key=lambda part: -max(shares.get(part.llm, {}).values(), default=0.0)
    )
    return tuple(
        _sentence(part, shares.get(part.llm, {}), first=not index and part.gpus == most)
        for index, part in enumerate(ranked)
    )


def time_shares(plan: Plan) -> dict[str, dict[str, float]]:
    """By LLM, by workflow that calls it: its mean part of the LLM time of a run, 0 to 1."""
    found: dict[str, dict[str, float]] = {}
    for demand in plan.demands:
        for llm in demand.llms:
            found.setdefault(llm.llm, {})[demand.workflow] = llm.time_share.mean
    return found


def _sentence(part: LlmAllocation, shares: Mapping[str, float], *, first: bool) -> str:
    size = size_name(part.tp, part.gpu_share)
    gets = size if part.replicas == 1 else f"{part.replicas} replicas of {size}"
    if not shares:
        return f"{part.llm} gets {gets}"
    has = f"{part.llm} has {_range(shares)}"
    if first:
        return f"{has}, so it gets the most: {gets}"
    if part.gpu_share <= SMALL_SHARE:
        return f"{has}, so a part of a GPU is enough: {gets}"
    return f"{has}; it gets {gets}"


def _range(shares: Mapping[str, float]) -> str:
    low, high = min(shares.values()), max(shares.values())
    if len(shares) == 1:
        (workflow,) = shares
        return f"{wording.percent(high)} of the LLM time of {workflow}"
    if wording.percent(low) == wording.percent(high):
        return f"{wording.percent(high)} of the LLM time"
    return f"{wording.percent(low)} to {wording.percent(high)} of the LLM time"
