"""What was decided: how much of each LLM (Allocation), where (Placement), and why (Plan)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scepsy.core.cluster import Cluster
from scepsy.core.demand import Demand
from scepsy.core.llm import LlmSpec
from scepsy.core.record import Record


def size_name(tp: int, gpu_share: float) -> str:
    """What a replica takes, in the field's words: "TP4", "0.4 GPU", or "TP4 x 0.4 GPU"."""
    if gpu_share >= 1:
        return f"TP{tp}"
    return f"{gpu_share:.2g} GPU" if tp == 1 else f"TP{tp} x {gpu_share:.2g} GPU"


class LlmAllocation(Record, frozen=True, kw_only=True):
    """How much one LLM gets.

    Attributes:
        llm: name of the LLM.
        tp: tensor-parallel degree: number of GPUs of one replica.
        gpu_share: fraction of each of these GPUs' compute. A share below one requires tp = 1,
            unless `--share-groups` was given.
        memory_share: fraction of each of these GPUs' memory.
        replicas: number of engines.
    """

    llm: str
    tp: int
    gpu_share: float
    memory_share: float
    replicas: int

    @property
    def gpus(self) -> float:
        """GPUs' worth of compute."""
        return self.tp * self.gpu_share * self.replicas


class Allocation(Record, frozen=True, kw_only=True):
    """How much every LLM gets.

    Attributes:
        llms: one entry per LLM, sorted by name.
    """

    llms: tuple[LlmAllocation, ...]

    @property
    def gpus(self) -> float:
        return sum(part.gpus for part in self.llms)


class Slice(Record, frozen=True, kw_only=True):
    """A part of one GPU.

    Attributes:
        node: name of the machine.
        gpu: number of the GPU in the machine, from 0.
        gpu_share, memory_share: fraction of the GPU's compute, and of its memory.
    """

    node: str
    gpu: int
    gpu_share: float
    memory_share: float


class Replica(Record, frozen=True, kw_only=True):
    """One engine process and the GPUs on which it runs.

    Attributes:
        replica: name of the replica, for example "generator-0".
        llm: name of the LLM.
        tp: tensor-parallel degree.
        slices: `tp` parts of GPUs.
    """

    replica: str
    llm: str
    tp: int
    slices: tuple[Slice, ...]

    @property
    def gpu_share(self) -> float:
        return self.slices[0].gpu_share

    @property
    def memory_share(self) -> float:
        return self.slices[0].memory_share


class Placement(Record, frozen=True, kw_only=True):
    """Where every replica runs.

    Attributes:
        replicas: all replicas, sorted by name.
    """

    replicas: tuple[Replica, ...]

    @property
    def gpus(self) -> int:
        """GPUs that at least one replica runs on."""
        return len({(part.node, part.gpu) for one in self.replicas for part in one.slices})


@dataclass(frozen=True, slots=True)
class Infeasible:
    """Why there is no solution.

    `binding` names the constraint, `reason` is a sentence with the numbers.
    """

    binding: str
    reason: str


class Target(Record, frozen=True, kw_only=True):
    """The rate that a workflow must sustain.

    Attributes:
        workflow: name of the workflow.
        rate: runs per second.
        weight: weight of its mean latency in the objective.
    """

    workflow: str
    rate: float
    weight: float = 1.0


class StagePrediction(Record, frozen=True, kw_only=True):
    """One stage of a workflow's pipeline.

    Attributes:
        llm: name of the LLM.
        seconds: seconds that the stage adds to a run.
        call_latency: mean latency of one call in seconds.
        overlap: calls of a run that overlapped while traced, on average, over those that overlap
            under the plan; 1 where that is not known. Above 1, a run waits longer for them than
            `call_latency` says.
        max_rate: runs per second at which the LLM saturates if this workflow is alone.
    """

    llm: str
    seconds: float
    call_latency: float
    overlap: float = 1.0
    max_rate: float


class IntervalParts(Record, frozen=True, kw_only=True):
    """The causes of error of a predicted mean latency. For each cause: the half-width of the 90%
    interval if it were the only one, relative to the mean (0.09 is 9%). The causes are independent,
    so their squares add up (`scepsy.predict.interval`).

    Attributes:
        runs: the traced runs are a sample of all runs.
        curves: noise of the profile's points, or of the simulation that the mean comes from.
        model: error of the predictor against observation at this load.
        estimate: error of curves that were estimated instead of measured.
        traced: number of traced runs.
    """

    runs: float
    curves: float
    model: float
    estimate: float
    traced: int


class WorkflowPrediction(Record, frozen=True, kw_only=True):
    """What is predicted for one workflow. All quantities from `latency_low` to `latency_p99` need
    recorded runs.

    Attributes:
        workflow: name of the workflow.
        target_rate: runs per second that it must sustain.
        throughput: runs per second at which its first LLM saturates, with every other workflow at
            its target.
        latency_mean: mean seconds of a run at the target rates.
        bottleneck: the LLM that saturates first.
        latency_low, latency_high: 90% interval of the mean over many runs; single runs differ more.
        interval_parts: the causes that the interval includes.
        latency_p50, latency_p90, latency_p99: percentiles of single runs in seconds. `latency_p99`
            is absent for fewer than 100 runs.
        percentile_runs: number of runs that the percentiles are of.
        percentiles_by: "replay" if these are recorded runs, timed anew; "simulation" if they are
            simulated runs.
        stages: the stages of the pipeline, one per LLM.
    """

    workflow: str
    target_rate: float
    throughput: float
    latency_mean: float
    bottleneck: str
    latency_low: float | None = None
    latency_high: float | None = None
    interval_parts: IntervalParts | None = None
    latency_p50: float | None = None
    latency_p90: float | None = None
    latency_p99: float | None = None
    percentile_runs: int | None = None
    percentiles_by: Literal["replay", "simulation"] | None = None
    stages: tuple[StagePrediction, ...]


class Prediction(Record, frozen=True, kw_only=True):
    """What is predicted for the plan at the target rates.

    Attributes:
        objective: weighted sum of mean latencies in seconds, which the search minimised.
        workflows: one entry per workflow.
        utilisation: by LLM, the fraction of its capacity that the target rates use.
    """

    objective: float
    workflows: tuple[WorkflowPrediction, ...]
    utilisation: dict[str, float]


class RunnerUp(Record, frozen=True, kw_only=True):
    """Another plan that was considered.

    Attributes:
        allocation: how much every LLM gets.
        objective: weighted sum of mean latencies in seconds.
        note: in what the plan differs.
    """

    allocation: Allocation
    objective: float
    note: str = ""


class Finalist(Record, frozen=True, kw_only=True):
    """One of the few plans that were examined by replay and simulation. A latency is the weighted
    mean in seconds; None if the predictor was not asked, or finds that the targets are not met.

    Attributes:
        allocation: how much every LLM gets.
        pipeline, replay, simulated: latency by each of the three predictors.
        noise: standard error of the difference between `simulated` and the chosen plan's value, in
            seconds. Both plans were simulated with the same runs at the same times.
        note: in what the plan differs.
    """

    allocation: Allocation
    pipeline: float | None
    replay: float | None
    simulated: float | None = None
    noise: float | None = None
    note: str = ""


class FrontPoint(Record, frozen=True, kw_only=True):
    """The fastest plan that is known on at most `gpus` GPUs, by a replay of the recorded runs.

    Attributes:
        gpus: GPUs that at least one replica runs on.
        gpu_shares: GPUs' worth of compute that the replicas take.
        objective: seconds; the sum of the workflows' mean latencies with the targets' weights.
        latency_means: seconds, by workflow.
        headroom: factor on all target rates at which the first LLM saturates.
        chosen: whether this is the plan that was taken.
    """

    gpus: int
    gpu_shares: float
    objective: float
    latency_means: dict[str, float]
    headroom: float
    chosen: bool = False


class Explanation(Record, frozen=True, kw_only=True):
    """Why this plan was chosen.

    Attributes:
        summary: sentences for people.
        finalists: the plans that were simulated, in order of the last predictor that was asked. The
            chosen plan is the first.
        runners_up: further plans, in order of predicted latency.
        skipped: sizes that were not considered, with the reason.
        front: latency against GPUs. GPUs rise from point to point, and latency falls.
        tolerance: the part of the least latency by which the plan was allowed to be slower, to use
            fewer GPUs.
    """

    summary: tuple[str, ...]
    finalists: tuple[Finalist, ...] = ()
    runners_up: tuple[RunnerUp, ...] = ()
    skipped: tuple[str, ...] = ()
    front: tuple[FrontPoint, ...] = ()
    tolerance: float = 0.0


class Plan(Record, frozen=True, kw_only=True):
    """Allocation and placement with their prediction: all that a deployment needs.

    Attributes:
        cluster: the machines.
        llms: the LLMs that are placed.
        targets: the rates that the plan was made for.
        demands: what the workflows ask of their LLMs.
        allocation: how much every LLM gets.
        placement: where every replica runs.
        prediction: latency and throughput at the target rates.
        explanation: why this plan was chosen.
        time_scale: speed of the emulated engines on which the plan was profiled, relative to real
            time.
        format: version of the file format.
    """

    cluster: Cluster
    llms: tuple[LlmSpec, ...]
    targets: tuple[Target, ...]
    demands: tuple[Demand, ...]
    allocation: Allocation
    placement: Placement
    prediction: Prediction
    explanation: Explanation
    time_scale: float = 1.0
    format: int = 1
