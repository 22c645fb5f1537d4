"""Hypothesis strategies: small clusters, LLMs that fit them, and random stage costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import (
    Allocation,
    Explanation,
    Infeasible,
    LlmAllocation,
    Placement,
    Plan,
    Prediction,
)
from scepsy.place import place

GPU_MEMORY = 80e9
Key = tuple[str, int, float]
"""(llm, tp, gpu_share rounded to a thousandth)."""


@dataclass(frozen=True, slots=True)
class TableCosts:
    """Stage costs by (llm, tp, share): seconds for 1, 2, ... replicas; inf for every other
    number.
    """

    table: Mapping[Key, tuple[float, ...]]

    def __call__(
        self, llm: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        known: tuple[float, ...] = (
            np.inf,
            *self.table.get((llm.name, tp, round(gpu_share, 3)), ()),
            np.inf,
        )
        return np.array(known)[np.minimum(replicas, len(known) - 1)]

    def __add__(self, other: TableCosts) -> TableCosts:
        """The sums of both tables; inf where either is inf."""
        return TableCosts(
            {
                key: tuple(a + b for a, b in zip(costs, other.table[key], strict=True))
                for key, costs in self.table.items()
            }
        )


@st.composite
def clusters(draw: st.DrawFn, most_gpus: int = 4, *, divisions: tuple[int, ...] = ()) -> Cluster:
    """One or two nodes with at most `most_gpus` GPUs in total and NVLink domains of any size.
    Others use any of the GPUs of a node, but not all. With `divisions`, each node divides its GPUs
    into one of these numbers of shares.
    """
    sizes = draw(
        st.lists(st.integers(1, most_gpus), min_size=1, max_size=2).filter(
            lambda each: sum(each) <= most_gpus
        )
    )
    nodes = [
        Node(
            name=f"n{i}",
            gpus=gpus,
            nvlink_domain=draw(st.none() | st.integers(1, gpus)),
            taken=draw(st.just(()) | _some_of(gpus)),
            shares_per_gpu=draw(st.sampled_from(divisions)) if divisions else None,
        )
        for i, gpus in enumerate(sizes)
    ]
    return Cluster(nodes=tuple(nodes), gpu_memory=GPU_MEMORY)


def _some_of(gpus: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Numbers of some of a node's GPUs, but not of all."""
    return st.sets(st.integers(0, gpus - 1), max_size=gpus - 1).map(tuple)


@st.composite
def llm_lists(draw: st.DrawFn, most: int = 3) -> list[LlmSpec]:
    """LLMs that need from a hundredth of a GPU to more than one, with names in random order."""
    names = draw(st.permutations(["c", "a", "b", "d"][:most]))
    return [
        LlmSpec(
            name=name,
            parameters=draw(st.sampled_from([1e8, 8e9, 15e9, 20e9, 30e9, 45e9])),
            max_tp=draw(st.sampled_from([1, 2, 4])),
            min_kv_tokens=1,
        )
        for name in names[: draw(st.integers(1, most))]
    ]


@st.composite
def table_costs(
    draw: st.DrawFn,
    llms: list[LlmSpec],
    grain: int,
    most: int = 4,
    *,
    share_groups: bool = False,
) -> TableCosts:
    """Random costs for every size of replica and up to `most` replicas, in any order, with ties and
    infinite costs.
    """
    cost = st.one_of(st.just(np.inf), st.integers(0, 6).map(float), st.floats(0, 10))
    falling = st.lists(cost, min_size=most, max_size=most).map(lambda each: sorted(each)[::-1])
    costs = falling | st.lists(cost, min_size=most, max_size=most)
    keys = [
        (llm.name, tp, round(unit / grain, 3))
        for llm in llms
        for tp in (1, 2, 4)
        for unit in range(1, grain + 1)
        if tp == 1 or unit == grain or share_groups
    ]
    return TableCosts({key: tuple(draw(costs)) for key in keys})


@st.composite
def allocations(draw: st.DrawFn, most_llms: int = 5, *, share_groups: bool = False) -> Allocation:
    """Random allocations with independent compute and memory shares; some fit on no cluster."""
    share = st.integers(1, 20).map(lambda units: units / 20)
    parts: list[LlmAllocation] = []
    for number in range(draw(st.integers(0, most_llms))):
        tp = draw(st.sampled_from([1, 1, 1, 2, 4]))
        whole = (tp > 1 and not share_groups) or draw(st.booleans())
        parts.append(
            LlmAllocation(
                llm=f"llm{number}",
                tp=tp,
                gpu_share=1.0 if whole else draw(share),
                memory_share=1.0 if whole else draw(share),
                replicas=draw(st.integers(1, 4)),
            )
        )
    return Allocation(llms=tuple(parts))


def bare_plan(cluster: Cluster, llms: tuple[LlmSpec, ...], placement: Placement) -> Plan:
    """A plan of which only the placement is known."""
    return Plan(
        cluster=cluster,
        llms=llms,
        targets=(),
        demands=(),
        allocation=Allocation(llms=()),
        placement=placement,
        prediction=Prediction(objective=0.0, workflows=(), utilisation={}),
        explanation=Explanation(summary=()),
    )


@st.composite
def plans(draw: st.DrawFn, *, share_groups: bool = False) -> Plan:
    """Plans that can be placed, of LLMs that are small enough for every share, on three kinds of
    engine.
    """
    cluster = draw(clusters(most_gpus=8))
    allocation = draw(
        allocations(share_groups=share_groups).filter(
            lambda each: not isinstance(place(each, cluster), Infeasible)
        )
    )
    placement = place(allocation, cluster)
    assert not isinstance(placement, Infeasible)
    llms = tuple(
        LlmSpec(
            name=part.llm,
            engine=draw(st.sampled_from(["emulated", "vllm", "sglang"])),
            model_path="org/name",
            parameters=1e6,
            heads=8,
            kv_heads=8,
            head_dim=64,
            hidden=512,
        )
        for part in allocation.llms
    )
    return bare_plan(cluster, llms, placement)
