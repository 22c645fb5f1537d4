"""The slowdown of calls by engines that share a GPU with theirs, in a placement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from scepsy.core.demand import LlmDemand
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Allocation, LlmAllocation, Placement, Prediction, Replica
from scepsy.hardware.contention import Tenant, mean_slowdowns
from scepsy.hardware.gpus import GpuConstants, bandwidth_kept
from scepsy.hardware.host_time import host_time
from scepsy.hardware.step_time import CallTokens, StepTimer, call_cost
from scepsy.predict.pipeline import Flow, Pipeline

BURST_REPLICAS = 2
"""Replicas over which the router spreads the concurrent calls of a run, approximately. It keeps
them on one replica until that holds twice the load of the least loaded one (`routing.choose`).
"""


def slowdown_by_llm(
    pipeline: Pipeline,
    allocation: Allocation,
    placement: Placement,
    llms: Sequence[LlmSpec],
    gpu: GpuConstants,
) -> dict[str, float]:
    """By LLM: the duration of a call divided by its duration without neighbours on the same GPU
    share, as the mean over the LLM's replicas. LLMs on whole GPUs are left out.
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
    """By replica: the largest slowdown on any of its GPUs, because the other GPUs of a TP group
    wait for the slowest one.
    """
    on_gpu: dict[tuple[str, int], list[Replica]] = defaultdict(list)
    for replica in replicas:
        for part in replica.slices:
            on_gpu[part.node, part.gpu].append(replica)
    found: dict[str, float] = {}
    for group in on_gpu.values():
        costs = mean_slowdowns([tenants[replica.llm] for replica in group])
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
    """One replica of an LLM under the predicted load."""
    stages = [
        (flow.target_rate, stage)
        for flow in prediction.workflows
        for stage in flow.stages
        if stage.llm == part.llm
    ]
    flows = pipeline.flows(part.llm)
    busy_runs = sum(rate * stage.seconds for rate, stage in stages) / part.replicas
    open_calls = sum(
        flow.rate * stage.call_latency for flow, (_, stage) in zip(flows, stages, strict=True)
    )
    tenant = Tenant(busy_runs=busy_runs, memory_bound=0.0, kept=bandwidth_kept(part.gpu_share))
    in_a_batch = open_calls / part.replicas / tenant.busy if tenant.busy else 1.0
    timer = StepTimer(llm, gpu, tp=part.tp, gpu_share=part.gpu_share)
    batch = min(float(llm.max_sequences), max(1.0, in_a_batch))
    return Tenant(
        busy_runs=busy_runs,
        memory_bound=_memory_bound(timer, llm, flows, batch, min(part.replicas, BURST_REPLICAS)),
        kept=tenant.kept,
    )


def _memory_bound(
    timer: StepTimer, llm: LlmSpec, flows: Sequence[Flow], batch: float, spread: int
) -> float:
    """The part of its busy time in which the engine reads memory, over the calls of all workflows.

    Args:
        batch: mean number of calls that are decoded together.
        spread: replicas that share a burst of calls.
    """
    step_tokens = host_time(llm.engine).step_tokens
    seconds = reading = 0.0
    for flow in flows:
        call = _mean_call(llm, flow.demand)
        # The calls of a burst arrive together, so each replica computes their prompts together.
        prompts = min(batch, max(1.0, flow.demand.parallelism / spread))
        took, memory = call_cost(timer, call, step_tokens=step_tokens, batch=batch, prompts=prompts)
        seconds, reading = seconds + flow.rate * took, reading + flow.rate * took * memory
    return reading / seconds if seconds else 0.0


def _mean_call(llm: LlmSpec, demand: LlmDemand) -> CallTokens:
    """The mean traced call. If traces have no token counts: a call of one decode step, or of a
    prompt of one token. Both are memory-bound, so contention is then overestimated.
    """
    prompt = demand.prompt_tokens
    if llm.kind != "generate":
        return CallTokens(prompt=1.0 if prompt is None else prompt, output=0.0)
    if prompt is None or demand.output_tokens is None:
        return CallTokens(prompt=0.0, output=2.0)
    cached = min(demand.cached_tokens or 0.0, prompt - 1.0)
    return CallTokens(prompt=prompt, output=demand.output_tokens, cached=max(0.0, cached))
