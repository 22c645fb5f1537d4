"""Refuses plans that no backend could start (pure)."""

from __future__ import annotations

from scepsy.core.plan import Plan
from scepsy.errors import BadInput
from scepsy.hardware.startable import unstartable


def check_startable(plan: Plan) -> None:
    """Raises BadInput for a plan with nothing to start, or whose engines could not all start."""
    if not plan.placement.replicas and not any(llm.hosted for llm in plan.llms):
        raise BadInput(
            "the plan cannot be started: it has no replica and no hosted endpoint, so there is "
            "nothing to serve; make it again with `scepsy plan`"
        )
    reason = unstartable(plan)
    if reason is not None:
        raise BadInput(
            f"the plan cannot be started: {reason.reason}; make it again with `scepsy plan`"
        )
