"""Which replicas of a plan share GPUs (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.core.plan import Plan, Replica

Gpus = tuple[str, tuple[int, ...]]
"""A node and the numbers of its GPUs, rising."""

WHOLE_GPUS_PLAN = "make the plan with `scepsy plan --share-step 1`, which gives whole GPUs only"


def is_part(replica: Replica) -> bool:
    """Whether it takes less than the whole compute of its GPUs."""
    return replica.gpu_share < 1


def gpus_of(replica: Replica) -> Gpus:
    """The node and the GPUs of a replica, which are all on one node."""
    return replica.slices[0].node, tuple(sorted(part.gpu for part in replica.slices))


def shared_gpus(plan: Plan) -> dict[Gpus, tuple[Replica, ...]]:
    """By set of GPUs, the replicas that take parts of it, in the order of their names. Nodes and
    GPUs are in order.
    """
    found: dict[Gpus, list[Replica]] = {}
    for replica in sorted(plan.placement.replicas, key=lambda one: one.replica):
        if is_part(replica):
            found.setdefault(gpus_of(replica), []).append(replica)
    return {gpus: tuple(found[gpus]) for gpus in sorted(found)}


def by_node(replicas: Iterable[Replica]) -> dict[str, list[Replica]]:
    found: dict[str, list[Replica]] = {}
    for replica in replicas:
        found.setdefault(replica.slices[0].node, []).append(replica)
    return dict(sorted(found.items()))


def parts_of_groups(plan: Plan) -> Iterator[Replica]:
    """Replicas that take a part of each GPU of a TP group."""
    return (one for one in plan.placement.replicas if one.tp > 1 and is_part(one))


def in_words(gpus: Gpus) -> str:
    node, numbers = gpus
    return f"GPU {','.join(map(str, numbers))} of {node}"


def exact_gpus_lost(plan: Plan, who: str) -> Iterator[str]:
    """The sentence of a profile that leaves the choice of GPUs to `who`."""
    if plan.placement.replicas:
        yield f"The exact GPUs: {who} chooses GPUs of the node that the plan names."
    split = [node for node in plan.cluster.nodes if len(node.domains) > 1]
    if split and any(one.tp > 1 for one in plan.placement.replicas):
        yield (
            f"NVLink domains: node {split[0].name} has several, and {who} may put a TP group "
            "across them."
        )
