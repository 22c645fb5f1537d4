"""Who shares a GPU with whom in a placement, and how much longer their calls take for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, LlmAllocation, Placement, Prediction, Replica
from scepsy.hardware.contention import Tenant, stretches
from scepsy.hardware.gpus import GpuConstants, bandwidth_kept
from scepsy.predict.pipeline import Pipeline


def sharing(
    pipeline: Pipeline,
    allocation: Allocation,
    placement: Placement,
    llms: Sequence[LlmSpec],
    gpu: GpuConstants,
) -> dict[str, float]:
    """By LLM: how much longer a call takes than on the same part of a GPU alone, the mean over its
    replicas; LLMs on whole GPUs are left out.
    """
    prediction = pipeline.predict(allocation)
    specs = {llm.name: llm for llm in llms}
    tenants = {
        part.llm: _tenant(part, specs[part.llm], pipeline, prediction, gpu)
        for part in allocation.llms
        if part.gpu_share < 1
    }
    shared = [replica for replica in placement.replicas if replica.llm in tenants]
    slowest = _slowest(shared, tenants)
    found: dict[str, list[float]] = defaultdict(list)
    for replica in shared:
        found[replica.llm].append(slowest[replica.replica])
    return {llm: fmean(each) for llm, each in found.items()}


def _slowest(replicas: Sequence[Replica], tenants: Mapping[str, Tenant]) -> dict[str, float]:
    """By replica: what neighbours cost it on the GPU where that is most, since the others wait."""
    on_gpu: dict[tuple[str, int], list[Replica]] = defaultdict(list)
    for replica in replicas:
        for part in replica.slices:
            on_gpu[part.node, part.gpu].append(replica)
    found: dict[str, float] = {}
    for group in on_gpu.values():
        costs = stretches([tenants[replica.llm] for replica in group])
        for replica, cost in zip(group, costs, strict=True):
            found[replica.replica] = max(cost, found.get(replica.replica, 1.0))
    return found


def _tenant(
    part: LlmAllocation,
    llm: LlmSpec,
    pipeline: Pipeline,
    prediction: Prediction,
    gpu: GpuConstants,
) -> Tenant:
    """One replica. Its weights are read once per step, whatever the batch: weights over step time
    is the bandwidth that it moves.
    """
    runs = sum(
        flow.target_rate * stage.seconds
        for flow in prediction.workflows
        for stage in flow.stages
        if stage.llm == part.llm
    )
    step = pipeline.step(part.llm, part.tp, part.gpu_share)
    moved = llm.weight_bytes / part.tp / step / gpu.bandwidth if step else 0.0
    return Tenant(
        busy_runs=runs / part.replicas,
        traffic=min(1.0, moved),
        memory_bound=min(1.0, moved / bandwidth_kept(part.gpu_share)),
    )
