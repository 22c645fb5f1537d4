"""What one GPU more or fewer would change (pure)."""

from __future__ import annotations

import msgspec

from scepsy.core.cluster import Cluster, Node
from scepsy.core.plan import Infeasible
from scepsy.planning.objective_text import change, objective_name
from scepsy.planning.problem import Problem
from scepsy.search import Choice

ADDED_NODE = "one-more"


def what_ifs(problem: Problem) -> dict[str, Problem]:
    """The problem with other GPUs, by the words that begin the sentence about it. Where a plan may
    use only some GPUs of the cluster, it is that number which changes.
    """
    cluster = problem.cluster
    more, fewer = problem.on(with_one_more(cluster)), problem.on(with_one_fewer(cluster))
    if problem.gpus is not None and problem.gpus < cluster.gpus:
        more, fewer = problem.within(problem.gpus + 1), problem.within(problem.gpus - 1)
    return {"One more GPU": more, "One fewer GPU": fewer}


def sentence(what: str, outcome: Choice | Infeasible, objective: float, problem: Problem) -> str:
    """`objective`: weighted seconds of the best allocation of `problem`. `outcome`: the best one
    with the change.
    """
    if isinstance(outcome, Infeasible):
        return f"{what}: the targets could not be met ({outcome.reason})"
    changed = change(outcome.candidate.objective + problem.pipeline.base, objective)
    return f"{what}: {changed} {objective_name(problem.targets)}"


def with_one_more(cluster: Cluster) -> Cluster:
    """The cluster and one GPU on a node of its own, divided as those of the last node are."""
    last = cluster.nodes[-1]
    node = Node(name=ADDED_NODE, gpus=1, gpu_type=last.gpu_type, shares_per_gpu=last.shares_per_gpu)
    return msgspec.structs.replace(cluster, nodes=(*cluster.nodes, node))


def with_one_fewer(cluster: Cluster) -> Cluster:
    """The cluster without the last free GPU of its last node that has one."""
    at = max(index for index, node in enumerate(cluster.nodes) if node.free)
    node = cluster.nodes[at]
    fewer = msgspec.structs.replace(node, taken=(*node.taken, node.free[-1]))
    nodes = (*cluster.nodes[:at], fewer, *cluster.nodes[at + 1 :])
    return msgspec.structs.replace(cluster, nodes=nodes)
