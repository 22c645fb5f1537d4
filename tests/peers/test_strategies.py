from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.problems import allocation_of, cluster, problem, problems
from scepsy.core.plan import Infeasible, Placement
from scepsy.peers.alpaserve import alpaserve
from scepsy.peers.exhaustive import exhaustive
from scepsy.peers.hpa import hpa
from scepsy.peers.independent_slo import independent_slo
from scepsy.peers.muxserve import muxserve, without_parts_of_groups
from scepsy.peers.sizing import Strategy, load
from scepsy.peers.user_specified import best, median, splits
from scepsy.planning.contention import slowdowns
from scepsy.planning.planner import allocate, allocate_with_contention
from scepsy.planning.problem import Problem
from scepsy.search import floors

STRATEGIES = {
    "hpa": hpa,
    "user-specified, best": best,
    "user-specified, median": median,
    "independent sizing": independent_slo,
    "MuxServe": muxserve,
    "MuxServe, whole groups": without_parts_of_groups,
    "AlpaServe": alpaserve,
}


def check_placement(given_problem: Problem, placement: Placement) -> None:
    """No GPU is overfull, every LLM is there and has its memory, no TP group leaves its domain."""
    specs = {llm.name: llm for llm in given_problem.needed_llms}
    nodes = {node.name: node for node in given_problem.cluster.nodes}
    assert {one.llm for one in placement.replicas} == set(specs)
    assert len({one.replica for one in placement.replicas}) == len(placement.replicas)
    compute: defaultdict[tuple[str, int], float] = defaultdict(float)
    memory: defaultdict[tuple[str, int], float] = defaultdict(float)
    for replica in placement.replicas:
        assert len(replica.slices) == replica.tp
        floor = floors(specs[replica.llm], given_problem.cluster)[replica.tp]
        assert replica.memory_share >= floor - 1e-9
        node = nodes[replica.slices[0].node]
        inside = [set(domain) for domain in node.domains]
        assert any({part.gpu for part in replica.slices} <= domain for domain in inside)
        for part in replica.slices:
            assert part.node == node.name
            assert part.gpu < node.gpus
            compute[part.node, part.gpu] += part.gpu_share
            memory[part.node, part.gpu] += part.memory_share
    assert all(taken <= 1 + 1e-9 for taken in (*compute.values(), *memory.values()))


@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=40, deadline=None)
@given(given_problem=problems())
def test_a_strategy_overfills_nothing_and_leaves_no_llm_out(
    name: str, given_problem: Problem
) -> None:
    strategy: Strategy = STRATEGIES[name]
    placement = strategy(given_problem)
    if isinstance(placement, Infeasible):
        assert placement.reason
    else:
        check_placement(given_problem, placement)
        assert strategy(given_problem) == placement


@settings(max_examples=40, deadline=None)
@given(given_problem=problems(most_llms=2, most_nodes=2))
def test_exhaustive_search_finds_nothing_better_than_ours(given_problem: Problem) -> None:
    placement, ours = exhaustive(given_problem), allocate(given_problem)
    if isinstance(placement, Infeasible):
        assert isinstance(ours, Infeasible) or placement.binding == "size"
        return
    assert not isinstance(ours, Infeasible)
    check_placement(given_problem, placement)
    bound = given_problem.pipeline.predict(allocation_of(placement)).objective
    found = given_problem.pipeline.predict(ours.candidate.allocation).objective
    assert found == pytest.approx(bound, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(given_problem=problems(most_llms=3, most_nodes=2))
def test_nothing_of_whole_gpus_is_predicted_faster_than_ours(given_problem: Problem) -> None:
    ours = allocate(given_problem)
    for strategy in (hpa, best, independent_slo, alpaserve):
        placement = strategy(given_problem)
        if isinstance(placement, Placement):
            theirs = given_problem.pipeline.predict(allocation_of(placement)).objective
            if theirs < float("inf"):
                assert not isinstance(ours, Infeasible)
                assert ours.candidate.objective <= theirs + 1e-9


@settings(max_examples=40, deadline=None)
@given(given_problem=problems(most_llms=3, most_nodes=2))
def test_parts_of_groups_are_taken_only_where_asked_for_and_where_they_help(
    given_problem: Problem,
) -> None:
    without = allocate(given_problem)
    asked = replace(given_problem, share_groups=True)
    with_parts = allocate(asked)
    if isinstance(with_parts, Infeasible):
        assert isinstance(without, Infeasible)
        return
    check_placement(given_problem, with_parts.placement)
    found = allocate_with_contention(asked).outcome
    assert not isinstance(found, Infeasible) or slowdowns(
        asked, with_parts.candidate.allocation, with_parts.placement
    )
    if not isinstance(without, Infeasible):
        assert all(
            part.tp == 1 or part.gpu_share == 1 for part in without.candidate.allocation.llms
        )
        if with_parts.proven:
            assert with_parts.candidate.objective <= without.candidate.objective + 1e-9


@given(st.sampled_from((0.1, 1.0, 3.0)))
def test_autoscaling_evens_out_utilisation(rate: float) -> None:
    asked = {"a": (8e9, 12.0, 0.5), "b": (8e9, 3.0, 0.5)}
    given_problem = problem(asked, cluster(1, 8), rate)
    placement = hpa(given_problem)
    assert isinstance(placement, Placement)
    count = {llm: sum(one.llm == llm for one in placement.replicas) for llm in asked}
    assert sum(count.values()) == 8
    used = {
        llm.name: load(given_problem, llm, 1) / count[llm.name] for llm in given_problem.needed_llms
    }
    for llm, one in used.items():  # one pod less would make it the busiest
        assert one * count[llm] / (count[llm] - 1) >= max(used.values()) - 1e-9


def test_more_llms_than_gpus_is_a_reason_not_an_error() -> None:
    asked = dict.fromkeys("abc", (8e9, 1.0, 0.5))
    for strategy in (hpa, independent_slo, alpaserve):
        answer = strategy(problem(asked, cluster(1, 2), 0.1))
        assert isinstance(answer, Infeasible)
        assert "takes 3 GPUs; the cluster has 2" in answer.reason


def test_small_llms_may_be_put_together_by_hand() -> None:
    asked = {"a": (14e9, 3.0, 0.5), "b": (0.6e9, 1.0, 0.05), "c": (0.6e9, 1.0, 0.05)}
    found = splits(problem(asked, cluster(1, 2), 0.1))
    assert found
    assert all(part.gpu_share == 0.5 for one in found for part in one.llms if part.llm in "bc")
