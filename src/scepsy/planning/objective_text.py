"""The objective and changes of it in words (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from scepsy.core.plan import Target


def objective_name(targets: Sequence[Target]) -> str:
    """What plans are compared by: the mean latency of the one workflow, or a sum of several."""
    if len(targets) == 1:
        return "mean latency"
    if all(target.weight == 1 for target in targets):
        return "sum of mean latencies"
    return "weighted sum of mean latencies"


def change(value: float, reference: float) -> str:
    """The relative change from `reference`, as in "+3.1%"; the value where that is zero."""
    if reference <= 0:
        return f"{value:.3g} s"
    percent = round((value / reference - 1) * 100, 1) + 0.0  # no minus before a zero
    return f"{percent:+.1f}%"
