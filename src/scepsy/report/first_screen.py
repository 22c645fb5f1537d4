"""What stands at the top: whether a GPU was used, how much load the plan carries, and what its
latencies add up to (pure).
"""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.core.plan import Plan
from scepsy.predict.headroom import headroom
from scepsy.report import wording

NO_GPU = (
    "No GPU was used. The engines are emulated: separate processes that speak the OpenAI API and "
    "take the time that a model of the GPUs says."
)


@dataclass(frozen=True, slots=True)
class HeadroomFigure:
    """By what the target rates may be multiplied, in words: all `together`, until `llm` saturates,
    and a line for each workflow `alone`.
    """

    together: str
    llm: str
    alone: tuple[str, ...]


def is_emulated(plan: Plan) -> bool:
    """Whether an engine of the plan is emulated."""
    return any(llm.engine == "emulated" for llm in plan.llms)


def pace_notes(plan: Plan, time_scale: float) -> tuple[str, ...]:
    """A sentence where emulated engines of the plan run faster or slower than real GPUs."""
    return (wording.pace(time_scale),) if time_scale != 1 and is_emulated(plan) else ()


def headroom_figure(plan: Plan) -> HeadroomFigure:
    """The factor for all workflows together, and for each alone."""
    together = headroom(plan.prediction)
    return HeadroomFigure(
        together=wording.factor(together.factor),
        llm=together.llm,
        alone=tuple(
            f"{flow.workflow} alone {wording.factor(flow.throughput / flow.target_rate)}, "
            f"to {wording.rate(flow.throughput)}, where {flow.bottleneck} saturates"
            for flow in plan.prediction.workflows
        ),
    )


def latency_sum(plan: Plan) -> str:
    """The objective of the plan and what it is a sum of."""
    flows, weights = plan.prediction.workflows, {t.workflow: t.weight for t in plan.targets}
    total = wording.seconds(plan.prediction.objective)
    if len(flows) == 1 and set(weights.values()) == {1.0}:
        return f"predicted mean latency {total}"
    parts = ", ".join(
        f"{flow.workflow} {wording.seconds(flow.latency_mean)}"
        + ("" if weights[flow.workflow] == 1 else f" {wording.TIMES} {weights[flow.workflow]:g}")
        for flow in flows
    )
    return f"sum of the workflows' predicted mean latencies {total} ({parts})"
