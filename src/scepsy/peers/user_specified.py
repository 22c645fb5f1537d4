"""An allocation that a person writes by hand: every even-ish split of the GPUs.

Ayo is given such an allocation, and so are most engines that are started by hand. Our reading of
"even-ish": whole GPUs in proportions of 1, 2 or 3 between the LLMs; for all LLMs either the
smallest replicas that fit or the largest TP groups; LLMs that need less than a quarter of a GPU's
memory either have GPUs of their own like the others, or share GPUs in equal parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import gcd, inf, isfinite

from scepsy.core.cluster import Cluster
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Infeasible, LlmAllocation, Placement
from scepsy.peers.sizing import placed, tp_degrees, whole
from scepsy.planning.problem import Problem
from scepsy.search import floors

WEIGHTS = (1, 2, 3)
"""Proportions in which a person divides GPUs between LLMs."""
SMALL_MEMORY_SHARE = 0.25
"""An LLM that needs less than this fraction of a GPU's memory may share GPUs with others."""


def splits(problem: Problem) -> tuple[Allocation, ...]:
    """All distinct splits that can be placed, in order of predicted latency.

    A person who splits by hand predicts nothing; we order the splits so that "median" and "best"
    are defined. Saturated splits come last, in order of utilisation.
    """
    llms = problem.needed_llms
    small = [llm for llm in llms if floors(llm, problem.cluster)[1] < SMALL_MEMORY_SHARE]
    found: set[Allocation] = set()
    for together in ((), small) if len(small) > 1 else ((),):
        alone = [llm for llm in llms if llm not in together]
        found.update(_splits(alone, together, problem.cluster))
    return tuple(sorted(found, key=lambda one: _worth(problem, one)))


def best(problem: Problem) -> Placement | Infeasible:
    """The split of least predicted latency: what an expert with our predictor would choose."""
    return _at(problem, 0.0)


def median(problem: Problem) -> Placement | Infeasible:
    """The split of median predicted latency."""
    return _at(problem, 0.5)


def _at(problem: Problem, part: float) -> Placement | Infeasible:
    found = splits(problem)
    if not found:
        return Infeasible("gpus", f"no even-ish split fits on {problem.cluster.gpus} GPUs")
    return placed(found[int(part * len(found))].llms, problem.cluster)


def _splits(
    alone: Sequence[LlmSpec], together: Sequence[LlmSpec], cluster: Cluster
) -> Iterator[Allocation]:
    groups = len(alone) + bool(together)
    for weights in product(WEIGHTS, repeat=groups):
        if gcd(*weights) > 1:
            continue
        gpus = _shared_out(cluster.gpus, weights)
        for widest in (False, True):
            parts = [
                part
                for llm, count in zip(alone, gpus, strict=False)
                if (part := _part(llm, count, cluster, widest)) is not None
            ]
            if together:
                parts += _together(together, gpus[-1], cluster)
            if len(parts) < len(alone) + len(together):
                continue
            allocation = Allocation(llms=tuple(sorted(parts, key=lambda part: part.llm)))
            if not isinstance(placed(allocation.llms, cluster), Infeasible):
                yield allocation


def _shared_out(gpus: int, weights: Sequence[int]) -> list[int]:
    """Whole GPUs in proportion to the weights, by the largest-remainder method."""
    exact = [gpus * weight / sum(weights) for weight in weights]
    found = [int(one) for one in exact]
    order = sorted(range(len(exact)), key=lambda index: found[index] - exact[index])
    for index in order[: gpus - sum(found)]:
        found[index] += 1
    return found


def _part(llm: LlmSpec, gpus: int, cluster: Cluster, widest: bool) -> LlmAllocation | None:
    degrees = [tp for tp in tp_degrees(llm, cluster) if tp <= gpus]
    if not degrees:
        return None
    tp = degrees[-1] if widest else degrees[0]
    return whole(llm.name, tp, gpus // tp)


def _together(llms: Sequence[LlmSpec], gpus: int, cluster: Cluster) -> list[LlmAllocation]:
    """One replica of every LLM that fits on each of `gpus` GPUs, with equal shares in tenths."""
    part = (10 // len(llms)) / 10
    return [
        LlmAllocation(llm=llm.name, tp=1, gpu_share=part, memory_share=part, replicas=gpus)
        for llm in llms
        if gpus and floors(llm, cluster)[1] <= part
    ]


def _worth(problem: Problem, allocation: Allocation) -> tuple[float, float]:
    prediction = problem.pipeline.predict(allocation)
    used = max(prediction.utilisation.values())
    return (prediction.objective, used) if isfinite(prediction.objective) else (inf, used)
