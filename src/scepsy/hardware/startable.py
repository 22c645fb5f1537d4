"""Whether engines can start what a plan places: TP degrees, memory of each replica and each GPU,
and the shares into which nodes divide their GPUs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from scepsy.core.plan import Infeasible, Plan, Replica
from scepsy.hardware.equal_shares import SHARE_TOLERANCE, not_on_node
from scepsy.hardware.memory import misfit
from scepsy.hardware.tensor_parallel import refusal


def unstartable(plan: Plan) -> Infeasible | None:
    """The first reason why the engines of a plan could not all start; None where they can."""
    llms = {llm.name: llm for llm in plan.llms}
    nodes = {node.name: node for node in plan.cluster.nodes}
    for replica in plan.placement.replicas:
        llm = llms[replica.llm]
        gpus = {(part.node, part.gpu) for part in replica.slices}
        if not len(gpus) == len(replica.slices) == replica.tp:
            wrong = f"{len(replica.slices)} parts of {len(gpus)} different GPUs for TP{replica.tp}"
            return Infeasible("tp", f"{replica.replica} has {wrong}; it needs one part of each GPU")
        for name in sorted({part.node for part in replica.slices}):
            if (other := not_on_node(replica, nodes[name])) is not None:
                return Infeasible("gpus", f"{replica.replica}: {other}")
        if (split := refusal(llm, replica.tp)) is not None:
            return Infeasible("tp", f"{replica.replica}: {split}")
        wanting = misfit(
            llm,
            tp=replica.tp,
            memory_share=replica.memory_share,
            gpu_memory=plan.cluster.gpu_memory,
        )
        if wanting is not None:
            return Infeasible("memory", f"{replica.replica}: {wanting}")
    return _overfull(plan.placement.replicas)


def _overfull(replicas: Iterable[Replica]) -> Infeasible | None:
    """The first GPU whose shares add up to more than the whole."""
    memory: defaultdict[tuple[str, int], float] = defaultdict(float)
    compute: defaultdict[tuple[str, int], float] = defaultdict(float)
    for replica in replicas:
        for part in replica.slices:
            memory[part.node, part.gpu] += part.memory_share
            compute[part.node, part.gpu] += part.gpu_share
    for what, taken in (("memory", memory), ("compute", compute)):
        for (node, gpu), share in taken.items():
            if share > 1.0 + SHARE_TOLERANCE:
                return Infeasible(
                    what,
                    f"GPU {gpu} of {node}: the {what} shares of its replicas add up to "
                    f"{share:.3g}, which is more than the GPU has",
                )
    return None
