"""Groups of GPUs, and greedy replication of LLMs onto them by the service goals they attain.

Source: AlpaServe (arXiv 2302.11665): enumerate group sizes (with buckets, so that large models get
larger groups), then replicate greedily, each time the model whose replica gains most attainment.
Our implementation of that policy. An LLM's goal is `GOAL` times the latency of an idle call at its
smallest TP degree, AlpaServe's own scale.

What it is given: per-LLM rates (workflows are unknown to it), our profiles, TP groups (its
pipelines of operators gain nothing with continuous batching), a bucket for every LLM that does not
fit into the common group size. What it is not given: several models on one group. Engines that
batch continuously do not take turns as its model-parallel executors do; without that it needs a
group for each LLM.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Infeasible, Placement
from scepsy.peers.sizing import load, placed, smallest_each, tp_degrees, whole
from scepsy.planning.problem import Problem

GOAL = 5.0
UTILISATIONS = np.linspace(0.02, 1.0, 50)


def alpaserve(problem: Problem) -> Placement | Infeasible:
    """The group size whose greedy replication leaves the least attaining LLM best off."""
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
    """The LLM's bucket: the common group size, or the next that it fits."""
    fitting = [tp for tp in tp_degrees(llm, problem.cluster) if tp <= max(size, smallest)]
    return fitting[-1]


def _replicate(problem: Problem, degrees: Mapping[str, int]) -> dict[str, int] | None:
    """Replicas by LLM, each to the one that attains least; None where one of each is too much."""
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
    """By LLM: the part of its calls for which one replica attains the goal."""
    found: dict[str, float] = {}
    for llm in problem.needed_llms:
        tp = degrees[llm.name]
        needed = load(problem, llm, tp)
        idle = _mean(problem, llm, tp_degrees(llm, problem.cluster)[0])[0]
        attaining = UTILISATIONS[_mean(problem, llm, tp) <= GOAL * idle]
        found[llm.name] = float(attaining[-1]) / needed if len(attaining) and needed else 0.0
    return found


def _mean(problem: Problem, llm: LlmSpec, tp: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Seconds of a call at each utilisation, the mean over the calls that the LLM gets."""
    flows = problem.pipeline.flows(llm.name)
    rates = sum(flow.rate for flow in flows)
    total = np.zeros(len(UTILISATIONS))
    for flow in flows:
        blend = problem.responses[llm.name, flow.target.workflow].at(tp, 1.0)
        if blend is None:
            return np.full(len(UTILISATIONS), np.inf)
        total += flow.rate / rates * blend.latency_at(UTILISATIONS)
    return total
