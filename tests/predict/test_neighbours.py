"""What neighbours cost who shares a GPU, or each GPU of a group, with them."""

from __future__ import annotations

from peers.problems import cluster, problem
from scepsy.core.plan import Allocation, LlmAllocation, Placement, Replica, Slice
from scepsy.hardware.gpus import gpu_constants
from scepsy.predict import slowdown_by_llm

ASKED = {"a": (32e9, 3.0, 0.5), "b": (32e9, 3.0, 0.5)}


def costs(**gpus: tuple[tuple[int, ...], ...]) -> dict[str, float]:
    """By LLM, where its replicas are on the GPUs named, half of each."""
    given = problem(ASKED, cluster(1, 4), 0.4)
    parts = tuple(
        LlmAllocation(
            llm=llm, tp=len(groups[0]), gpu_share=0.5, memory_share=0.5, replicas=len(groups)
        )
        for llm, groups in gpus.items()
    )
    replicas = tuple(
        Replica(
            replica=f"{llm}-{number}",
            llm=llm,
            tp=len(group),
            slices=tuple(Slice(node="n0", gpu=g, gpu_share=0.5, memory_share=0.5) for g in group),
        )
        for llm, groups in gpus.items()
        for number, group in enumerate(groups)
    )
    placement = Placement(replicas=replicas)
    gpu = gpu_constants("h100")
    return slowdown_by_llm(given.pipeline, Allocation(llms=parts), placement, given.llms, gpu)


def test_who_is_alone_pays_nothing() -> None:
    assert costs(a=((0, 1),), b=((2,),)) == {"a": 1.0, "b": 1.0}


def test_a_group_waits_for_its_busiest_gpu() -> None:
    beside = costs(a=((0, 1),), b=((1,),))
    assert beside["a"] > 1.0
    assert beside["b"] > 1.0
    assert costs(a=((0, 1),), b=((0,),)) == beside
    both = costs(a=((0, 1),), b=((0, 1),))
    assert both["a"] > 1.0


def test_the_cost_is_the_mean_over_replicas() -> None:
    one = costs(a=((0,), (1,)), b=((1,),))
    assert costs(a=((0,), (1,)), b=((0,), (1,)))["a"] > 1.0
    assert 1.0 < one["a"] < one["b"]
