"""What each workflow alone would get of an engine that was measured with a mixture (pure)."""

from __future__ import annotations

from collections.abc import Mapping


def own_throughputs(
    total: float, calls: Mapping[str, float], cost: Mapping[str, float]
) -> dict[str, float]:
    """Calls per second at which each workflow alone would saturate an engine that saturates at
    `total` with the workflows' calls mixed in parts `calls`.

    `cost` is what a call of each workflow costs, relative to the others; the loads that the
    workflows make in the mixture then add up to one.
    """
    least = 1e-9  # a call that took no time at all would cost nothing
    mean_cost = sum(calls[name] * max(cost[name], least) for name in calls)
    return {name: total * mean_cost / max(cost[name], least) for name in calls}
