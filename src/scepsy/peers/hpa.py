"""Each LLM scaled by itself on its own utilisation, as Kubernetes' Horizontal Pod Autoscaler does.

Source: Kubernetes' documentation of the algorithm, desired = ceil(replicas * metric / target). Our
implementation of that policy. The metric is utilisation (load over what a replica carries at
saturation), a pod is one replica on whole GPUs at the smallest TP degree that fits.

What it is given: the target that suits it best, the lowest one whose replicas the cluster holds, so
that no GPU which could take a pod stays idle; and its fixed point, without the delays and
oscillations of the way there.
"""

from __future__ import annotations

from scepsy.core.plan import Infeasible, Placement
from scepsy.peers.sizing import load, placed, smallest_each, whole
from scepsy.planning.problem import Problem


def hpa(problem: Problem) -> Placement | Infeasible:
    """Replicas follow utilisation until the GPUs run out.

    Lowering the target until nothing fits any more is the same as giving the next pod to the LLM
    that is utilised most.
    """
    degrees = smallest_each(problem)
    if isinstance(degrees, Infeasible):
        return degrees
    loads = {llm.name: load(problem, llm, degrees[llm.name]) for llm in problem.needed_llms}
    replicas = dict.fromkeys(degrees, 1)
    left = problem.cluster.gpus - sum(degrees.values())
    while fitting := [llm for llm, tp in degrees.items() if tp <= left]:
        busiest = max(fitting, key=lambda llm: loads[llm] / replicas[llm])
        replicas[busiest] += 1
        left -= degrees[busiest]
    parts = [whole(llm, tp, replicas[llm]) for llm, tp in degrees.items()]
    return placed(parts, problem.cluster)
