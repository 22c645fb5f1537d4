"""Handing candidates to placement: what is skipped, what is proven, what comes next."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Infeasible, Placement
from scepsy.place import place
from scepsy.search import Choice, Search, best_placeable, search
from scepsy.testing.strategies import TableCosts


def cluster_of(nodes: int, gpus: int = 8) -> Cluster:
    return Cluster(nodes=tuple(Node(name=f"n{i}", gpus=gpus) for i in range(nodes)))


def fractions_that_waste(
    llm: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cheapest at 0.3 for one LLM and at 0.4 for the other, neither of which fills a GPU."""
    ideal = {"a": 0.3, "b": 0.4, "c": 0.6}[llm.name]
    return 10 * (1 + abs(gpu_share - ideal)) / np.sqrt(replicas, dtype=np.float64)


def searched(cluster: Cluster, names: str = "abc") -> Search:
    llms = [LlmSpec(name=name, parameters=1e9, max_tp=1, min_kv_tokens=0) for name in names]
    found = search(llms, cluster, fractions_that_waste)
    assert isinstance(found, Search)
    return found


def test_skips_what_cannot_be_placed_and_says_why() -> None:
    table = {("a", 1, 0.5): (5.0,), ("b", 1, 1.0): (1.0,), ("b", 1, 0.5): (3.0,)}
    table[("a", 1, 1.0)] = (4.5,)
    llms = [LlmSpec(name=name, parameters=1e9, max_tp=1, min_kv_tokens=0) for name in "ab"]
    cluster = cluster_of(2, 1)
    found = search(llms, cluster, TableCosts(table), share_step=0.5)
    assert isinstance(found, Search)
    refused: list[Allocation] = []

    def grudging(allocation: Allocation) -> Placement | Infeasible:
        if len(refused) < 2:
            refused.append(allocation)
            return Infeasible("gpus", f"refusal {len(refused)}")
        return place(allocation, cluster)

    choice = best_placeable(found, grudging)
    assert isinstance(choice, Choice)
    assert [skip.candidate.allocation for skip in choice.skipped] == refused
    assert [skip.reason.reason for skip in choice.skipped] == ["refusal 1", "refusal 2"]
    assert [skip.candidate.objective for skip in choice.skipped] == [5.5, 6.0]
    assert choice.candidate.objective == 7.5
    assert [after.objective for after in choice.runners_up] == [8.0]
    assert choice.proven


def test_if_placement_refuses_every_candidate_its_reason_is_given() -> None:
    choice = best_placeable(
        searched(cluster_of(1, 1)), lambda _: Infeasible("gpus", "no GPU likes it")
    )
    assert isinstance(choice, Infeasible)
    assert choice.binding == "placement"
    assert choice.reason.endswith("no GPU likes it")


@pytest.mark.parametrize("nodes", [1, 16])
def test_under_fragmentation_the_choice_is_placeable_and_the_bound_is_valid(nodes: int) -> None:
    cluster = cluster_of(nodes)
    choice = best_placeable(
        searched(cluster), lambda allocation: place(allocation, cluster), limit=20
    )
    assert isinstance(choice, Choice)
    assert choice.bound <= choice.candidate.objective
    assert choice.proven == (choice.bound == choice.candidate.objective)
    assert choice.candidate.objective < 1.05 * choice.bound
    assert all(
        skip.candidate.objective <= choice.candidate.objective for skip in choice.skipped[:8]
    )


def test_a_limit_on_candidates_never_lowers_the_cost() -> None:
    cluster = cluster_of(1, 3)
    answers = [
        best_placeable(
            searched(cluster), lambda allocation: place(allocation, cluster), limit=limit
        )
        for limit in (1, 10_000)
    ]
    hasty, thorough = answers
    assert isinstance(hasty, Choice)
    assert isinstance(thorough, Choice)
    assert thorough.proven
    assert hasty.bound <= thorough.candidate.objective <= hasty.candidate.objective


def test_a_reached_limit_is_reported_as_not_proven() -> None:
    """Placement knows of fewer GPUs than the search, so hundreds of candidates fail."""
    known, there = cluster_of(1, 8), cluster_of(1, 5)
    hasty = best_placeable(searched(known), lambda allocation: place(allocation, there), limit=20)
    optimum = best_placeable(searched(there), lambda allocation: place(allocation, there))
    assert isinstance(hasty, Choice)
    assert isinstance(optimum, Choice)
    assert not hasty.proven
    assert len(hasty.skipped) >= 20
    assert hasty.bound < optimum.candidate.objective <= hasty.candidate.objective


def test_runners_up_are_distinct_and_sorted_by_cost() -> None:
    cluster = cluster_of(1)
    choice = best_placeable(
        searched(cluster), lambda allocation: place(allocation, cluster), runners_up=5
    )
    assert isinstance(choice, Choice)
    plans = [choice.candidate, *choice.runners_up]
    assert len({plan.allocation for plan in plans}) == len(plans)
    objectives = [plan.objective for plan in plans]
    assert objectives == sorted(objectives)


def test_a_problem_without_llms_has_an_empty_allocation() -> None:
    found = search([], cluster_of(1), fractions_that_waste)
    assert isinstance(found, Search)
    choice = best_placeable(found, lambda allocation: place(allocation, cluster_of(1)))
    assert isinstance(choice, Choice)
    assert choice.candidate.objective == 0
    assert choice.placement == Placement(replicas=())
