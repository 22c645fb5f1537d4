"""Headroom: the factor by which the load may grow before an LLM of a plan saturates (pure)."""

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
    """The headroom of `rates` (runs per second by workflow, by default the targets) if all of them
    grow by one factor. A factor below 1 means that the plan does not sustain these rates.

    Rates other than the targets are accurate only for a plan that sustains its targets. If an LLM
    is saturated at the targets, the part of its capacity that each workflow takes is unknown, and
    every workflow is assumed to take all of it.

    Let u_wm be the part of the capacity of LLM m that workflow w takes at its target x_w. At rates
    r_w, the utilisation of m is sum over w of u_wm * r_w / x_w. The factor is one over the largest
    utilisation.
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
    """The part x / X of the LLM's capacity that the workflow takes at its target x, where X is the
    rate at which the workflow alone would saturate the LLM.

    The prediction has `max_rate`, the rate that the other workflows leave:
    (1 - utilisation + x / X) * X. This is solved for x / X.
    """
    spare = stage.max_rate - flow.target_rate
    if utilisation >= 1 or spare <= 0:
        return utilisation
    return flow.target_rate * (1 - utilisation) / spare
