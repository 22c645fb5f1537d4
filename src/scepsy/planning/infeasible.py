"""Why no plan meets the targets, and the highest rates that can be met (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable

from scepsy.core.plan import Infeasible
from scepsy.planning.problem import Problem
from scepsy.search import Choice

RATE_MIN = 1e-6
"""Runs per second. A workflow that cannot be served at one run in twelve days cannot be at all."""


def explain_infeasible(
    found: Infeasible, problem: Problem, allocate: Callable[[Problem], Choice | Infeasible]
) -> Infeasible:
    """`found`, with the highest rates that can be met, all targets scaled alike: rates at which
    `allocate` finds an allocation. A latency limit that is out of reach already says what can be
    reached, and stays as it is.
    """
    if found.binding == "latency":
        return found
    scale = _highest_scale(problem, lambda scaled: not isinstance(allocate(scaled), Infeasible))
    if scale is None:
        return Infeasible(found.binding, f"{found.reason}. No rate could be met, however low")
    rates = ", ".join(f"{one.workflow} {one.rate * scale:.3g}/s" for one in problem.targets)
    part = f"{scale:.0%} of" if scale >= 0.01 else f"{scale:.1g} times"
    return Infeasible(
        found.binding,
        f"{found.reason}. The highest rates that can be met together: {rates} ({part} the targets)",
    )


def _highest_scale(problem: Problem, feasible: Callable[[Problem], bool]) -> float | None:
    """The largest factor on all targets, below 1, at which an allocation exists, to 0.05%; None
    where there is none down to `RATE_MIN`.
    """
    least = RATE_MIN / max(target.rate for target in problem.targets)
    low = high = 1.0
    while not feasible(problem.scaled(low)):
        low, high = low / 4, low
        if low < least:
            return None
    while high > 1.0005 * low:
        middle = math.sqrt(low * high)
        if feasible(problem.scaled(middle)):
            low = middle
        else:
            high = middle
    return low
