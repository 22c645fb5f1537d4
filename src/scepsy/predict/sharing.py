"""Who shares a GPU with whom in a placement, and how much longer their calls take for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, LlmAllocation, Placement, Prediction
from scepsy.gpus import GpuConstants, bandwidth_kept
from scepsy.predict.contention import Tenant, stretches
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
    return {
        llm: fmean(found)
        for llm, found in _by_llm(_tenants_of_gpus(placement, tenants), tenants).items()
    }


def _tenants_of_gpus(placement: Placement, tenants: Mapping[str, Tenant]) -> list[list[str]]:
    """The LLMs on each GPU that is divided; one that has two replicas there is named twice."""
    found: dict[tuple[str, int], list[str]] = defaultdict(list)
    for replica in placement.replicas:
        if replica.llm in tenants:
            found[replica.slices[0].node, replica.slices[0].gpu].append(replica.llm)
    return list(found.values())


def _by_llm(
    groups: Sequence[Sequence[str]], tenants: Mapping[str, Tenant]
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = defaultdict(list)
    for group in groups:
        stretched = stretches([tenants[llm] for llm in group])
        for llm, stretch in zip(group, stretched, strict=True):
            found[llm].append(stretch)
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
