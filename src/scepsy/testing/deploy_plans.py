"""Small plans by hand, for tests of deployments (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scepsy.core.cluster import Cluster
from scepsy.core.demand import Demand, LlmDemand, Spread
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import (
    Allocation,
    Explanation,
    LlmAllocation,
    Placement,
    Plan,
    Prediction,
    Replica,
    Slice,
    Target,
)

LLMS = tuple(
    LlmSpec(
        name=name,
        parameters=8e9,
        layers=32,
        hidden=4096,
        kv_heads=8,
        head_dim=128,
        max_context=32_768,
    )
    for name in ("m", "k")
)
"""Two LLMs whose emulated engines make some hundred tokens per second, and start in a second."""

_SPREAD = Spread(mean=1.0, cv=0.0, p10=1.0, p50=1.0, p90=1.0)


def plan_of(
    cluster: Cluster,
    *placed: tuple[str, Sequence[str], float],
    llms: Sequence[LlmSpec] = LLMS,
    load: Mapping[str, float] | None = None,
) -> Plan:
    """A plan with one replica for each of `placed`: the name of its LLM, its GPUs as "node/index",
    and its share of each of them, compute and memory alike.

    With a `load`, the part of each LLM's capacity that is used, one workflow calls these LLMs once
    in each run.
    """
    replicas = tuple(
        Replica(
            replica=f"{llm}-{[one[0] for one in placed[:index]].count(llm)}",
            llm=llm,
            tp=len(gpus),
            slices=tuple(_slice(gpu, share) for gpu in gpus),
        )
        for index, (llm, gpus, share) in enumerate(placed)
    )
    used = load or {}
    part = {"parallelism": 1.0, "busy": 1.0, "duration": 1.0, "time_share": _SPREAD}
    demand = Demand(
        workflow="w",
        runs=1,
        latency=_SPREAD,
        other_time=0.0,
        llms=tuple(LlmDemand(llm=llm, calls=1.0, **part) for llm in sorted(used)),  # pyright: ignore
    )
    return Plan(
        cluster=cluster,
        llms=tuple(llms),
        targets=(Target(workflow="w", rate=1.0),),
        demands=(demand,) if used else (),
        allocation=Allocation(llms=tuple(_allocations(replicas))),
        placement=Placement(replicas=replicas),
        prediction=Prediction(objective=0.0, workflows=(), utilisation=dict(used)),
        explanation=Explanation(summary=("made by hand, for a test",)),
    )


def _slice(gpu: str, share: float) -> Slice:
    node, _, index = gpu.rpartition("/")
    return Slice(node=node, gpu=int(index), gpu_share=share, memory_share=share)


def _allocations(replicas: Sequence[Replica]) -> list[LlmAllocation]:
    return [
        LlmAllocation(
            llm=llm,
            tp=one.tp,
            gpu_share=one.gpu_share,
            memory_share=one.memory_share,
            replicas=sum(other.llm == llm for other in replicas),
        )
        for llm, one in sorted({one.llm: one for one in replicas}.items())
    ]
