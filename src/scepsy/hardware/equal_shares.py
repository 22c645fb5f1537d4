"""Equal shares of GPUs, into which nodes divide them beforehand (`Node.shares_per_gpu`)."""

from __future__ import annotations

from scepsy.core.cluster import Node
from scepsy.core.plan import Replica, size_name

SHARE_TOLERANCE = 1e-6
"""Part of a GPU by which shares may differ or exceed one: rounding."""


def equal_shares_of(tp: int, gpu_share: float, memory_share: float) -> int | None:
    """The number of equal shares per GPU that such replicas need; 1 for whole GPUs. None where no
    equal share holds them: a part of several GPUs, a share that is not one part in N, or more
    memory than compute.
    """
    if gpu_share > 1 - SHARE_TOLERANCE:
        return 1
    shares = round(1 / gpu_share)
    one_in_n = abs(1 / shares - gpu_share) <= SHARE_TOLERANCE
    if tp > 1 or not one_in_n or memory_share > gpu_share + SHARE_TOLERANCE:
        return None
    return shares


def share_name(shares: int) -> str:
    """What a replica gets of GPUs that are divided into `shares`, in words."""
    return "whole GPUs" if shares == 1 else f"1/{shares} of a GPU and of its memory"


def not_on_node(replica: Replica, node: Node) -> str | None:
    """Why the shares into which the node divides its GPUs do not hold the replica; None where they
    do, or where the node divides none.
    """
    if node.shares_per_gpu is None:
        return None
    shares = equal_shares_of(replica.tp, replica.gpu_share, replica.memory_share)
    if shares == node.shares_per_gpu:
        return None
    return (
        f"it takes {size_name(replica.tp, replica.gpu_share)} and {replica.memory_share:.2g} of "
        f"the memory, and node {node.name} gives {share_name(node.shares_per_gpu)} "
        f"(shares_per_gpu = {node.shares_per_gpu} in the cluster)"
    )
