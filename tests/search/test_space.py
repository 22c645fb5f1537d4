"""The options on offer, what dominance drops, and the reasons given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, Infeasible
from scepsy.errors import BadInput
from scepsy.place import place
from scepsy.search import search
from scepsy.search.constraints import GpuConstraint, total_gpus, valid_inequalities
from scepsy.search.cuts import excess
from scepsy.search.dominance import undominated
from scepsy.search.options import Options, ReplicaSize
from scepsy.search.space import space
from scepsy.testing.strategies import allocations, clusters

EIGHT = Cluster(nodes=(Node(name="n0", gpus=8),))
Floats = NDArray[np.float64]


def faster_with_more(
    llm: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]
) -> Floats:
    return 1 / ((tp * gpu_share) ** 1.2 * replicas)


def never(llm: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]) -> Floats:
    return np.full(replicas.shape, np.inf)


def only_when_whole(llm: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]) -> Floats:
    return np.where((replicas >= 3) & (gpu_share == 1.0), 1.0 / replicas, np.inf)


def shapes_of(options: Options) -> set[tuple[int, float, float]]:
    return {
        (part.tp, part.gpu_share, part.memory_share)
        for part in (options.allocation(index) for index in range(len(options)))
    }


def test_memory_is_the_larger_of_compute_and_floor() -> None:
    llm = LlmSpec(name="x", parameters=15e9, max_tp=1, min_kv_tokens=0)  # 32 of 80 GB
    found = space([llm], EIGHT, faster_with_more, 0.1)
    assert not isinstance(found, Infeasible)
    memory = {share: memory for _, share, memory in shapes_of(found.options[0])}
    assert memory[0.5] == 0.5
    assert memory[1.0] == 1.0
    assert min(memory.values()) == 0.4


def test_tp_stays_within_a_domain_and_the_llm() -> None:
    llm = LlmSpec(name="x", parameters=1e9, max_tp=8)
    split = Cluster(nodes=(Node(name="n0", gpus=6, nvlink_domain=3),))
    found = space([llm], split, faster_with_more, 0.5)
    assert not isinstance(found, Infeasible)
    assert {tp for tp, _, _ in shapes_of(found.options[0])} == {1, 2}
    assert all(int(found.options[0].replicas[i]) <= 12 for i in range(len(found.options[0])))


def test_an_llm_too_large_for_every_tp_is_named_with_numbers() -> None:
    refused = search(
        [LlmSpec(name="generator", parameters=83e9, max_tp=1, min_kv_tokens=0)],
        EIGHT,
        faster_with_more,
    )
    assert refused == Infeasible(
        "memory",
        "'generator' needs 2.1 GPUs of memory at TP1; no TP degree above 1 is open to it",
    )


def test_a_target_that_no_option_sustains_is_named() -> None:
    refused = search([LlmSpec(name="x", parameters=1e9, max_tp=2)], EIGHT, never)
    assert refused == Infeasible(
        "throughput",
        "no share and replica count of 'x' at TP1, TP2 sustains the targets on 8 GPUs within "
        "what was profiled",
    )


def test_too_few_gpus_for_all_llms_is_infeasible_with_the_number_needed() -> None:
    llms = [LlmSpec(name=name, parameters=1e9, max_tp=1) for name in "abc"]
    assert search(llms, EIGHT, only_when_whole) == Infeasible(
        "gpus",
        "the LLMs need at least 9.0 GPUs to sustain the targets ('a' 3.0, 'b' 3.0, 'c' 3.0); "
        "the cluster has 8",
    )


def test_too_little_memory_is_infeasible_with_the_memory_that_is_left() -> None:
    two = Cluster(nodes=(Node(name="n0", gpus=2),))
    llms = [
        LlmSpec(name="big", parameters=60e9, max_tp=2, min_kv_tokens=0),
        LlmSpec(name="small", parameters=15e9, max_tp=1, min_kv_tokens=0),
    ]
    assert search(llms, two, faster_with_more) == Infeasible(
        "memory", "'big' needs 2.0 GPUs of memory at TP2; 1.6 are left by the other LLMs"
    )


def test_shares_that_do_not_pack_are_infeasible_with_a_reason() -> None:
    llms = [LlmSpec(name=n, parameters=20e9, max_tp=1, min_kv_tokens=0) for n in "abc"]
    refused = search(llms, Cluster(nodes=(Node(name="n0", gpus=2),)), faster_with_more)
    assert isinstance(refused, Infeasible)
    assert refused.binding == "placement"


@pytest.mark.parametrize("step", [0.3, 0.0, -0.1, 2.0])
def test_a_step_that_does_not_divide_a_gpu_is_refused(step: float) -> None:
    with pytest.raises(BadInput, match="share step"):
        search([], EIGHT, never, share_step=step)


def test_an_llm_listed_twice_is_refused() -> None:
    llm = LlmSpec(name="x", parameters=1e9)
    with pytest.raises(BadInput, match="'x' is listed twice"):
        search([llm, llm], EIGHT, faster_with_more)


def test_reasons_name_dominated_tp_degrees() -> None:
    def slower_in_parallel(
        llm: LlmSpec, tp: int, gpu_share: float, replicas: NDArray[np.int64]
    ) -> Floats:
        return np.full(replicas.shape, float(tp) if tp < 4 else np.inf)

    found = space([LlmSpec(name="x", parameters=1e9, max_tp=4)], EIGHT, slower_in_parallel, 0.5)
    assert not isinstance(found, Infeasible)
    assert found.reasons == (
        "'x' at TP2 is never faster than what fits in the same GPUs",
        "'x' at TP4 does not sustain the targets, or was not profiled",
    )


SHAPES = (
    ReplicaSize(1, 1, 3, 10),
    ReplicaSize(1, 3, 3, 10),
    ReplicaSize(1, 5, 5, 10),
    ReplicaSize(1, 10, 10, 10),
    ReplicaSize(2, 10, 10, 10),
)


@settings(deadline=None)
@given(st.dictionaries(st.tuples(st.integers(0, 4), st.integers(1, 6)), st.integers(0, 4)))
def test_every_dropped_option_is_dominated_by_a_kept_one(
    costs: dict[tuple[int, int], int],
) -> None:
    """Whatever is dropped can be replaced by something kept that fits where it did; of what is
    kept, nothing can be replaced.
    """
    rows = sorted(costs)
    options = Options(
        LlmSpec(name="x"),
        SHAPES,
        np.array([shape for shape, _ in rows], dtype=np.int64),
        np.array([replicas for _, replicas in rows], dtype=np.int64),
        np.array([float(costs[row]) for row in rows]),
    )
    best = undominated(options)
    kept = set(zip(best.shape.tolist(), best.replicas.tolist(), strict=True))

    def replaces(one: tuple[int, int], other: tuple[int, int]) -> bool:
        room = SHAPES[other[0]].capacity_for(SHAPES[one[0]]) * other[1]
        return costs[one] <= costs[other] and one[1] <= room

    for row in rows:
        replacements = {each for each in kept if each != row and replaces(each, row)}
        assert (row in kept) != bool(replacements)


@settings(deadline=None, max_examples=200)
@given(allocations(), clusters(most_gpus=6), st.sampled_from([10, 20]))
def test_every_placeable_allocation_meets_every_constraint(
    allocation: Allocation, cluster: Cluster, grain: int
) -> None:
    """The constraints are valid inequalities: none may exclude a placeable allocation."""
    constraints: list[GpuConstraint] = [
        total_gpus(grain, cluster.gpus),
        *valid_inequalities(cluster, grain, cluster.gpus),
    ]
    placeable = not isinstance(place(allocation, cluster), Infeasible)
    if placeable and all(
        part.memory_share >= part.gpu_share and (part.memory_share * grain) % 1 == 0
        for part in allocation.llms
    ):
        assert max(excess(constraint, allocation, grain) for constraint in constraints) <= 1
