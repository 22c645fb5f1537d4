"""Each LLM scaled separately by its utilisation, as Kubernetes' Horizontal Pod Autoscaler does.

Source: Kubernetes' documentation of the algorithm, desired = ceil(replicas * metric / target). Our
implementation of that policy. The metric is utilisation (arrival rate over the highest rate that
the replicas sustain). A pod is one replica on whole GPUs at the smallest TP degree that fits.

What it is given: the best target for it, which is the lowest one whose replicas fit the cluster, so
that no GPU that could hold a pod stays idle; and the fixed point of the rule, without the delays
and oscillations on the way there.
"""

from __future__ import annotations

from scepsy.core.plan import Infeasible, Placement
from scepsy.peers.sizing import load, placed, smallest_each, whole
from scepsy.planning.problem import Problem


def hpa(problem: Problem) -> Placement | Infeasible:
    """One replica of each LLM, then more until no replica fits any more.

    Lowering the target step by step gives each next pod to the LLM of highest utilisation.
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
