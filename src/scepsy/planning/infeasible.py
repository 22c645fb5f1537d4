"""Why no plan meets the targets, and the highest rates that can be met (pure)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from scepsy.core.plan import Infeasible, Target
from scepsy.planning.problem import Problem
from scepsy.search import Choice

RATE_MIN = 1e-6
"""Runs per second. A workflow that cannot be served at one run in twelve days cannot be at all."""


def explain_infeasible(
    found: Infeasible, problem: Problem, allocate: Callable[[Problem], Choice | Infeasible]
) -> Infeasible:
    """`found`, with the highest rates that can be met: all workflows together, and each workflow
    with the others at their targets, where that is possible. At the rates that are named,
    `allocate` finds an allocation.

    Together, all targets are multiplied by one factor. A target above what the cluster serves with
    next to nothing of the others counts as that rate, so that one target that is far too high does
    not reduce the others to nothing. The reason for an infeasible latency limit already names the
    lowest latency, so it stays as it is.
    """
    if found.binding == "latency":
        return found

    def feasible(scaled: Problem) -> bool:
        return not isinstance(allocate(scaled), Infeasible)

    capped = _capped(problem, feasible)
    scale = None if capped is None else _highest_scale(capped, feasible)
    if capped is None or scale is None:
        return Infeasible(found.binding, f"{found.reason}. No rate could be met, however low")
    together = _together(problem.targets, capped.scaled(scale).targets)
    return Infeasible(
        found.binding, ". ".join((found.reason, *_alone(problem, feasible), together))
    )


def _capped(problem: Problem, feasible: Callable[[Problem], bool]) -> Problem | None:
    """The problem with each target at most the highest rate of its workflow while the others run
    next to never; None where a workflow cannot run at all.
    """
    if len(problem.targets) < 2:
        return problem
    capped = problem
    for target in problem.targets:
        quiet = problem
        for other in problem.targets:
            if other.workflow != target.workflow and other.rate > RATE_MIN:
                quiet = quiet.scaled(RATE_MIN / other.rate, other.workflow)
        scale = _highest_scale(quiet, feasible, target.workflow)
        if scale is None:
            return None
        capped = capped.scaled(scale, target.workflow)
    return capped


def _together(targets: Sequence[Target], met: Sequence[Target]) -> str:
    """The rates that are met together, and which parts of the targets they are."""
    parts = [low.rate / high.rate for low, high in zip(met, targets, strict=True)]
    rates = [f"{low.workflow} {_rate(low.rate)}" for low in met]
    if max(parts) <= min(parts) * (1 + 1e-9):
        named = f"{', '.join(rates)} ({_part(parts[0])} the targets)"
    else:
        each = zip(rates, parts, strict=True)
        named = ", ".join(f"{rate} ({_part(part)} its target)" for rate, part in each)
    return f"The highest rates that can be met together: {named}"


def _part(part: float) -> str:
    if part >= 1:
        return "all of"
    return f"{part:.0%} of" if part >= 0.01 else f"{part:.1g} times"


def _alone(problem: Problem, feasible: Callable[[Problem], bool]) -> list[str]:
    """The highest rate of each workflow with the others at their targets, where there is one."""
    if len(problem.targets) < 2:
        return []
    rates: list[str] = []
    for target in problem.targets:
        scale = _highest_scale(problem, feasible, target.workflow)
        if scale is not None:
            rates.append(f"{target.workflow} {_rate(target.rate * scale)}")
    if not rates:
        return []
    return [f"With the other targets as they are, the highest rate is: {' or '.join(rates)}"]


def _rate(rate: float) -> str:
    """Rounded down to three digits, so that it can be met."""
    step = 10.0 ** (math.floor(math.log10(rate)) - 2)
    return f"{math.floor(rate / step * (1 + 1e-12)) * step:.3g}/s"


def _highest_scale(
    problem: Problem, feasible: Callable[[Problem], bool], workflow: str | None = None
) -> float | None:
    """The largest factor up to 1 at which an allocation exists, to 0.05%, on all targets or on that
    of one workflow; None where there is none down to `RATE_MIN`.
    """
    scaled = [one for one in problem.targets if workflow in (None, one.workflow)]
    least = RATE_MIN / max(target.rate for target in scaled)
    if workflow is not None and not feasible(problem.scaled(least, workflow)):
        return None
    low = high = 1.0
    while not feasible(problem.scaled(low, workflow)):
        low, high = low / 4, low
        if low < least:
            return None
    while high > 1.0005 * low:
        middle = math.sqrt(low * high)
        if feasible(problem.scaled(middle, workflow)):
            low = middle
        else:
            high = middle
    return low
