"""The plan of somebody who splits the GPUs by hand: as many for each LLM, replicas as small as they
fit (pure).

Our implementation of what the paper calls user-specified allocation.
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
from scepsy.search import floor_bytes


def even_split(llms: Sequence[LlmSpec], cluster: Cluster, targets: Sequence[Target]) -> Plan:
    """Whole GPUs, the same number for each LLM; what is left over stays idle.

    The plan has no prediction: whoever splits by hand makes none.

    Raises:
        Unmeetable: there are fewer GPUs than LLMs, or an LLM does not fit into its part.
    """
    each = cluster.gpus // len(llms)
    allocation = Allocation(llms=tuple(_part(llm, each, cluster) for llm in llms))
    placement = place(allocation, cluster)
    if isinstance(placement, Infeasible):
        raise Unmeetable(f"an even split cannot be placed: {placement.reason}")
    return Plan(
        cluster=cluster,
        llms=tuple(llms),
        targets=tuple(targets),
        demands=(),
        allocation=allocation,
        placement=placement,
        prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
        explanation=Explanation(summary=("an even split of the GPUs, by hand",)),
    )


def _part(llm: LlmSpec, gpus: int, cluster: Cluster) -> LlmAllocation:
    tp = 1
    while tp <= gpus and floor_bytes(llm, cluster, tp) > cluster.gpu_memory:
        tp *= 2
    if tp > gpus:
        raise Unmeetable(
            f"an even split leaves {llm.name!r} {gpus} GPUs, too few to hold its weights"
        )
    return LlmAllocation(llm=llm.name, tp=tp, gpu_share=1.0, memory_share=1.0, replicas=gpus // tp)
