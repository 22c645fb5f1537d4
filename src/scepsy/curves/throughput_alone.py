"""The throughput that each workflow alone would get from an engine that was measured with a mixture
of workflows (pure).
"""

from __future__ import annotations

from collections.abc import Mapping

_COST_MIN = 1e-9
"""A call whose traced duration is zero still costs something, so that nothing is divided by zero.
"""


def throughput_alone(
    total: float, calls: Mapping[str, float], cost: Mapping[str, float]
) -> dict[str, float]:
    """Calls per second at which each workflow alone would saturate the engine.

    The engine saturates at `total` calls per second when the workflows make the fractions `calls`
    of all calls. `cost` is the engine time of a call of each workflow, relative to the others. In
    the mixture, the utilisations that the workflows cause then add up to 1.
    """
    mean_cost = sum(calls[name] * max(cost[name], _COST_MIN) for name in calls)
    return {name: total * mean_cost / max(cost[name], _COST_MIN) for name in calls}
