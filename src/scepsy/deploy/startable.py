"""Refuses plans that no backend could start (pure)."""

from __future__ import annotations

from collections import Counter

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
    names = Counter(one.replica for one in plan.placement.replicas)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise BadInput(
            f"the plan cannot be started: there are {names[twice]} replicas {twice!r}; "
            "make it again with `scepsy plan`"
        )
    reason = unstartable(plan)
    if reason is not None:
        raise BadInput(
            f"the plan cannot be started: {reason.reason}; make it again with `scepsy plan`"
        )


def check_one_machine(plan: Plan) -> None:
    """Raises BadInput for a plan whose engines would be on the GPUs of several machines. Emulated
    engines can be on one that stands for several.
    """
    real = {llm.name for llm in plan.llms if llm.engine not in ("emulated", "endpoint")}
    types = {node.name: node.gpu_type for node in plan.cluster.nodes}
    replicas = [one for one in plan.placement.replicas if one.llm in real]
    nodes = {part.node for one in replicas for part in one.slices if types[part.node] != "cpu"}
    if len(nodes) > 1:
        raise BadInput(
            f"the plan places engines on the GPUs of {', '.join(sorted(nodes))}, and --on local "
            "starts all of them on this machine; deploy it with --on ray or --on kubernetes, or "
            "make a plan for one node"
        )
