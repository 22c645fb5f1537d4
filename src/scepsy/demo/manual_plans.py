"""Plans that need no planner: one replica of each LLM, and an even split of the GPUs (pure).

The even split is our implementation of what the paper calls user-specified allocation.
"""

from __future__ import annotations

from collections.abc import Sequence

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import (
    Allocation,
    Explanation,
    Infeasible,
    LlmAllocation,
    Plan,
    Prediction,
    Target,
)
from scepsy.errors import Unmeetable
from scepsy.place import place
from scepsy.search import floors


def even_split(llms: Sequence[LlmSpec], cluster: Cluster, targets: Sequence[Target]) -> Plan:
    """Whole GPUs, the same number for each LLM; what is left over stays idle.

    The plan has no prediction.

    Raises:
        Unmeetable: there are fewer GPUs than LLMs, or an LLM does not fit into its part.
    """
    ours = _placed(llms)
    each = cluster.gpus // len(ours)
    parts = [_part(llm, each, cluster) for llm in ours]
    return _by_hand(parts, llms, cluster, targets, "an even split of the GPUs")


def one_of_each(llms: Sequence[LlmSpec], cluster: Cluster, targets: Sequence[Target]) -> Plan:
    """One replica of each LLM, the large ones on as many GPUs as there are: quick, to trace on.

    Raises:
        Unmeetable: not even the smallest replicas fit.
    """
    ours = _placed(llms)
    degrees = {llm.name: _least_tp(llm, cluster) for llm in ours}
    for llm in sorted(ours, key=lambda llm: -llm.parameters):
        most = min(llm.max_tp, cluster.largest_domain)
        while (
            2 * degrees[llm.name] <= most
            and sum(degrees.values()) + degrees[llm.name] <= cluster.gpus
        ):
            degrees[llm.name] *= 2
    parts = [_whole(llm, degrees[llm.name], 1) for llm in ours]
    return _by_hand(parts, llms, cluster, targets, "one replica of each LLM")


def _by_hand(
    parts: Sequence[LlmAllocation],
    llms: Sequence[LlmSpec],
    cluster: Cluster,
    targets: Sequence[Target],
    what: str,
) -> Plan:
    allocation = Allocation(llms=tuple(parts))
    placement = place(allocation, cluster)
    if isinstance(placement, Infeasible):
        raise Unmeetable(f"{what} cannot be placed: {placement.reason}")
    return Plan(
        cluster=cluster,
        llms=tuple(llms),
        targets=tuple(targets),
        demands=(),
        allocation=allocation,
        placement=placement,
        prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
        explanation=Explanation(summary=(f"{what}, by hand",)),
    )


def _placed(llms: Sequence[LlmSpec]) -> list[LlmSpec]:
    """Those that need GPUs. Raises Unmeetable where none does."""
    found = [llm for llm in llms if not llm.hosted]
    if not found:
        raise Unmeetable("all LLMs are at endpoints: there is nothing to place")
    return found


def _part(llm: LlmSpec, gpus: int, cluster: Cluster) -> LlmAllocation:
    tp = _least_tp(llm, cluster)
    if tp > gpus:
        raise Unmeetable(
            f"an even split leaves {llm.name!r} {gpus} GPUs, too few to hold its weights"
        )
    return _whole(llm, tp, gpus // tp)


def _least_tp(llm: LlmSpec, cluster: Cluster) -> int:
    """Raises Unmeetable where no degree holds it."""
    for tp, floor in floors(llm, cluster).items():
        if floor <= 1:
            return tp
    raise Unmeetable(f"{llm.name!r} does not fit at any TP degree that is open to it")


def _whole(llm: LlmSpec, tp: int, replicas: int) -> LlmAllocation:
    return LlmAllocation(llm=llm.name, tp=tp, gpu_share=1.0, memory_share=1.0, replicas=replicas)
