"""Equal groups of GPUs, and greedy replication of LLMs by the SLO attainment that it adds.

Source: AlpaServe (arXiv 2302.11665): enumerate group sizes (with buckets, so that large models get
larger groups), then replicate greedily, at each step the model whose new replica raises SLO
attainment most. Our implementation of that policy. An LLM's latency goal is
`LATENCY_GOAL_FACTOR` times the latency of a call on an idle replica of the smallest TP degree,
which is how AlpaServe scales its goals.

What it is given: the call rate of each LLM (it does not know workflows), our profiles, TP groups
(its inter-operator pipelines gain nothing with continuous batching), and a bucket for every LLM
that does not fit into the common group size. What it is not given: several models on one group.
Its model-parallel executors take turns, which continuously batching engines do not, so here every
LLM needs a group of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Placement
from scepsy.peers.sizing import load, placed, smallest_each, tp_degrees, whole
from scepsy.planning.problem import Problem

LATENCY_GOAL_FACTOR = 5.0
"""Latency goal over the latency of a call on an idle replica."""
UTILISATIONS = np.linspace(0.02, 1.0, 50)
"""Utilisations of a replica at which the goal is checked."""


def alpaserve(problem: Problem) -> Placement | Infeasible:
    """Greedy replication at the group size that gives the highest minimum attainment of any LLM."""
    smallest = smallest_each(problem)
    if isinstance(smallest, Infeasible):
        return smallest
    best: tuple[float, dict[str, int], dict[str, int]] | None = None
    size = 1
    while size <= problem.cluster.largest_domain:
        degrees = {
            llm.name: _degree(llm, problem, size, smallest[llm.name]) for llm in problem.needed_llms
        }
        replicas = _replicate(problem, degrees)
        if replicas is not None:
            within = _attained(problem, degrees)
            worst = min(within[llm] * count for llm, count in replicas.items())
            if best is None or min(worst, 1.0) > min(best[0], 1.0) + 1e-9:
                best = worst, degrees, replicas
        size *= 2
    assert best is not None  # groups of one fit: smallest_each was feasible
    _, degrees, replicas = best
    return placed([whole(llm, degrees[llm], replicas[llm]) for llm in degrees], problem.cluster)


def _degree(llm: LlmSpec, problem: Problem, size: int, smallest: int) -> int:
    """The LLM's bucket: the largest TP degree within the common group size, or its smallest one."""
    fitting = [tp for tp in tp_degrees(llm, problem.cluster) if tp <= max(size, smallest)]
    return fitting[-1]


def _replicate(problem: Problem, degrees: Mapping[str, int]) -> dict[str, int] | None:
    """Replicas by LLM, each given to the LLM of lowest attainment. None if the cluster cannot hold
    one replica of every LLM.
    """
    left = problem.cluster.gpus - sum(degrees.values())
    if left < 0:
        return None
    within = _attained(problem, degrees)
    replicas = dict.fromkeys(degrees, 1)
    while fitting := [llm for llm, tp in degrees.items() if tp <= left]:
        worst = min(fitting, key=lambda llm: within[llm] * replicas[llm])
        replicas[worst] += 1
        left -= degrees[worst]
    return replicas


def _attained(problem: Problem, degrees: Mapping[str, int]) -> dict[str, float]:
    """By LLM: the fraction of its calls that one replica serves within the latency goal."""
    found: dict[str, float] = {}
    for llm in problem.needed_llms:
        tp = degrees[llm.name]
        needed = load(problem, llm, tp)
        idle = _mean(problem, llm, tp_degrees(llm, problem.cluster)[0])[0]
        attaining = UTILISATIONS[_mean(problem, llm, tp) <= LATENCY_GOAL_FACTOR * idle]
        found[llm.name] = float(attaining[-1]) / needed if len(attaining) and needed else 0.0
    return found


def _mean(problem: Problem, llm: LlmSpec, tp: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Mean latency of the LLM's calls, in seconds, at each of `UTILISATIONS`; inf without a
    profile.
    """
    flows = problem.pipeline.flows(llm.name)
    rates = sum(flow.rate for flow in flows)
    total = np.zeros(len(UTILISATIONS))
    for flow in flows:
        blend = problem.responses[llm.name, flow.target.workflow].at(tp, 1.0)
        if blend is None:
            return np.full(len(UTILISATIONS), np.inf)
        total += flow.rate / rates * blend.latency_at(UTILISATIONS)
    return total
