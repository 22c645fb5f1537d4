"""How much the load may grow before an LLM of a plan saturates (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from scepsy.core.plan import Prediction, StagePrediction, WorkflowPrediction


@dataclass(frozen=True, slots=True)
class Headroom:
    """All rates may be multiplied by `factor`; then `llm` saturates. `llm` is empty and `factor` is
    infinite where the plan runs no LLM of the workflows.
    """

    factor: float
    llm: str


def headroom(prediction: Prediction, rates: Mapping[str, float] | None = None) -> Headroom:
    """The headroom of `rates` (runs per second by workflow), by default of the targets, if all of
    them grow alike. A factor below 1 says that the plan does not carry these rates.

    Other rates than the targets need a plan that carries its targets: of an LLM that is saturated
    there it is not known how much of it each workflow takes, and every one is taken to take all.

    With u_wm the part of LLM m's capacity that workflow w takes at its target x_w, the capacity
    that rates r_w take is sum over w of u_wm * r_w / x_w; the factor is one over its largest value.
    """
    if rates is None:
        used = dict(prediction.utilisation)
    else:
        used = dict.fromkeys(prediction.utilisation, 0.0)
        for flow in prediction.workflows:
            factor = rates.get(flow.workflow, 0.0) / flow.target_rate
            for stage in flow.stages:
                used[stage.llm] += factor * _part(flow, stage, prediction.utilisation[stage.llm])
    tightest = max(used, key=lambda llm: used[llm], default="")
    if not tightest or used[tightest] <= 0:
        return Headroom(inf, "")
    return Headroom(1 / used[tightest], tightest)


def _part(flow: WorkflowPrediction, stage: StagePrediction, utilisation: float) -> float:
    """The part of the LLM's capacity that the workflow takes at its target.

    `max_rate` is what the other workflows leave of the rate X at which the LLM would saturate if
    the workflow were alone: (1 - utilisation + x / X) * X. Solved for x / X.
    """
    spare = stage.max_rate - flow.target_rate
    if utilisation >= 1 or spare <= 0:
        return utilisation
    return flow.target_rate * (1 - utilisation) / spare
