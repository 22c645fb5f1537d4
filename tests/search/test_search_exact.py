"""The search against brute force, on every small random instance."""

from __future__ import annotations

from itertools import islice, product

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Infeasible, LlmAllocation
from scepsy.place import place
from scepsy.search import Search, best_placeable, search
from scepsy.search.options import StageCosts
from scepsy.search.space import floors
from scepsy.testing.strategies import TableCosts, clusters, llm_lists, table_costs

GRAIN = 4
small = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@st.composite
def instances(
    draw: st.DrawFn,
    workflows: int = 1,
    most_llms: int = 3,
    *,
    share_groups: bool = False,
    divisions: tuple[int, ...] = (),
) -> tuple[list[LlmSpec], Cluster, TableCosts]:
    llms = draw(llm_lists(most_llms))
    costs = draw(table_costs(llms, GRAIN, share_groups=share_groups))
    for _ in range(workflows - 1):
        costs += draw(table_costs(llms, GRAIN, share_groups=share_groups))
    return llms, draw(clusters(divisions=divisions)), costs


def every_option(
    llm: LlmSpec, cluster: Cluster, *, share_groups: bool = False
) -> list[LlmAllocation]:
    """Shares, TP degrees and replica counts one by one, as far as an empty cluster holds them."""
    options: list[LlmAllocation] = []
    for tp, unit, replicas in product((1, 2, 4), range(1, GRAIN + 1), range(1, 6)):
        needed = floors(llm, cluster).get(tp, 2.0)
        if tp > min(llm.max_tp, cluster.largest_domain) or needed > 1:
            continue
        if tp > 1 and unit < GRAIN and not share_groups:
            continue
        memory = max(unit, int(np.ceil(needed * GRAIN - 1e-9))) if unit < GRAIN else GRAIN
        option = LlmAllocation(
            llm=llm.name,
            tp=tp,
            gpu_share=unit / GRAIN,
            memory_share=memory / GRAIN,
            replicas=replicas,
        )
        if not isinstance(place(Allocation(llms=(option,)), cluster), Infeasible):
            options.append(option)
    return options


def brute_force(
    llms: list[LlmSpec], cluster: Cluster, costs: StageCosts, *, share_groups: bool = False
) -> list[tuple[float, Allocation]]:
    """Every allocation of finite cost whose memory is at most the cluster's, cheapest first."""
    priced: list[list[tuple[float, LlmAllocation]]] = []
    for llm in sorted(llms, key=lambda llm: llm.name):
        found = [
            (float(costs(llm, part.tp, part.gpu_share, np.array([part.replicas]))[0]), part)
            for part in every_option(llm, cluster, share_groups=share_groups)
        ]
        priced.append([(cost, part) for cost, part in found if np.isfinite(cost)])
    everything = [
        (sum(cost for cost, _ in choice), Allocation(llms=tuple(part for _, part in choice)))
        for choice in product(*priced)
        if sum(part.tp * part.memory_share * part.replicas for _, part in choice)
        <= cluster.gpus + 1e-9
    ]
    return sorted(everything, key=lambda each: each[0])


def cheapest_placeable(
    llms: list[LlmSpec], cluster: Cluster, costs: StageCosts, *, share_groups: bool = False
) -> float | None:
    for cost, allocation in brute_force(llms, cluster, costs, share_groups=share_groups):
        if not isinstance(place(allocation, cluster), Infeasible):
            return cost
    return None


@small
@given(instances())
def test_the_first_candidate_is_the_optimum_that_fits(
    instance: tuple[list[LlmSpec], Cluster, TableCosts],
) -> None:
    found = search(*instance, share_step=1 / GRAIN)
    expected = brute_force(*instance)
    if isinstance(found, Infeasible):
        assert cheapest_placeable(*instance) is None
        return
    first = next(found.candidates(), None)
    assert (first is None) == (not expected)
    if first is not None:
        assert first.objective == pytest.approx(expected[0][0])
        assert found.bound() <= first.objective + 1e-9


@small
@given(instances())
def test_candidates_are_sorted_unique_and_complete(
    instance: tuple[list[LlmSpec], Cluster, TableCosts],
) -> None:
    found = search(*instance, share_step=1 / GRAIN)
    assume(not isinstance(found, Infeasible))
    assert isinstance(found, Search)
    seen = list(islice(found.candidates(), 3000))
    assume(len(seen) < 3000)
    objectives = [candidate.objective for candidate in seen]
    assert objectives == pytest.approx(sorted(objectives))
    assert len({candidate.allocation for candidate in seen}) == len(seen)
    kept = [
        {options.allocation(index) for index in range(len(options))}
        for options in found.space.options
    ]
    expected = [
        cost
        for cost, allocation in brute_force(*instance)
        if all(part in options for part, options in zip(allocation.llms, kept, strict=True))
    ]
    assert objectives == pytest.approx(expected)


@small
@given(instances())
def test_the_choice_is_the_cheapest_placeable_allocation(
    instance: tuple[list[LlmSpec], Cluster, TableCosts],
) -> None:
    check_choice(*instance)


@small
@given(instances(workflows=3))
def test_several_workflows_share_llms(
    instance: tuple[list[LlmSpec], Cluster, TableCosts],
) -> None:
    check_choice(*instance)


@small
@given(instances(most_llms=2, share_groups=True))
def test_with_shared_tp_groups_the_choice_is_the_cheapest_placeable_allocation(
    instance: tuple[list[LlmSpec], Cluster, TableCosts],
) -> None:
    check_choice(*instance, share_groups=True)


@small
@given(instances(divisions=(1, 2, GRAIN)))
def test_on_equal_shares_the_choice_is_the_cheapest_placeable_allocation(
    instance: tuple[list[LlmSpec], Cluster, TableCosts],
) -> None:
    check_choice(*instance)


def check_choice(
    llms: list[LlmSpec], cluster: Cluster, costs: TableCosts, *, share_groups: bool = False
) -> None:
    found = search(llms, cluster, costs, share_step=1 / GRAIN, share_groups=share_groups)
    expected = cheapest_placeable(llms, cluster, costs, share_groups=share_groups)
    chosen = (
        found
        if isinstance(found, Infeasible)
        else best_placeable(found, lambda allocation: place(allocation, cluster))
    )
    if expected is None:
        assert isinstance(chosen, Infeasible)
        assert chosen.reason
        return
    assert not isinstance(chosen, Infeasible), chosen
    assert chosen.proven
    assert chosen.candidate.objective == pytest.approx(expected)
    assert chosen.bound == pytest.approx(expected)
    assert place(chosen.candidate.allocation, cluster) == chosen.placement
    after = [candidate.objective for candidate in chosen.runners_up]
    assert after == sorted(after)
    assert all(objective >= expected - 1e-9 for objective in after)


@small
@given(instances())
def test_an_added_gpu_never_hurts(
    instance: tuple[list[LlmSpec], Cluster, TableCosts],
) -> None:
    llms, cluster, costs = instance
    larger = Cluster(
        nodes=(*cluster.nodes, Node(name="extra", gpus=1)), gpu_memory=cluster.gpu_memory
    )
    before, after = (optimum(llms, each, costs) for each in (cluster, larger))
    assert after <= before + 1e-9


def optimum(llms: list[LlmSpec], cluster: Cluster, costs: TableCosts) -> float:
    found = search(llms, cluster, costs, share_step=1 / GRAIN)
    if isinstance(found, Infeasible):
        return np.inf
    chosen = best_placeable(found, lambda allocation: place(allocation, cluster))
    return np.inf if isinstance(chosen, Infeasible) else chosen.candidate.objective
