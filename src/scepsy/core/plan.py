"""What was decided: how much of each LLM (Allocation), where (Placement), and why (Plan)."""

from __future__ import annotations

from dataclasses import dataclass

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
    """`replicas` engines of `llm`, each over `tp` GPUs, with `gpu_share` of the compute and
    `memory_share` of the memory of each of these GPUs. A share below one requires tp = 1, unless
    `--share-groups` was given.
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
    """How much of each LLM, sorted by the LLMs' names."""

    llms: tuple[LlmAllocation, ...]

    @property
    def gpus(self) -> float:
        return sum(part.gpus for part in self.llms)


class Slice(Record, frozen=True, kw_only=True):
    """A part of one GPU."""

    node: str
    gpu: int
    gpu_share: float
    memory_share: float


class Replica(Record, frozen=True, kw_only=True):
    """One engine process and the GPUs it runs on (`tp` slices)."""

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
    """Where every replica runs."""

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
    """The rate that a workflow must sustain, in runs per second, and its weight."""

    workflow: str
    rate: float
    weight: float = 1.0


class StagePrediction(Record, frozen=True, kw_only=True):
    """One stage of a workflow's pipeline: the seconds that it adds to a run, the latency of one
    call in seconds, and the highest rate in runs per second that it could carry if this workflow
    were alone.
    """

    llm: str
    seconds: float
    call_latency: float
    max_rate: float


class IntervalParts(Record, frozen=True, kw_only=True):
    """What a predicted mean latency may be off by, by cause: for each, the half-width of the 90%
    interval were it the only one, relative to the mean (0.09 is 9%). The causes are independent, so
    the squares add up (`scepsy.predict.interval`).

    Attributes:
        runs: the traced runs are a sample. traced: how many there are.
        curves: noise of the profile's points, or of the simulation that the mean comes from.
        model: error of the predictor against observation at this load.
        estimate: curves were estimated instead of measured.
    """

    runs: float
    curves: float
    model: float
    estimate: float
    traced: int


class WorkflowPrediction(Record, frozen=True, kw_only=True):
    """What the plan promises a workflow.

    `throughput` is the rate at which its tightest LLM saturates, with every other workflow at its
    target; `bottleneck` names that LLM. `latency_low` to `latency_high` holds the mean latency over
    many runs with 90% confidence; `interval_parts` says what that is made of. How single runs
    differ is in the quantiles `latency_p50`, `latency_p90` and `latency_p99`. All of these need
    recorded runs.
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
    stages: tuple[StagePrediction, ...]


class Prediction(Record, frozen=True, kw_only=True):
    """What the plan promises.

    `objective` is the weighted sum of mean latencies that the search minimised; `utilisation` maps
    each LLM to the part of its capacity that the targets use.
    """

    objective: float
    workflows: tuple[WorkflowPrediction, ...]
    utilisation: dict[str, float]


class RunnerUp(Record, frozen=True, kw_only=True):
    """Another plan that was considered."""

    allocation: Allocation
    objective: float
    note: str = ""


class Finalist(Record, frozen=True, kw_only=True):
    """One of the few plans that were examined by replay and simulation: its weighted mean latency
    in seconds by each predictor. None if the predictor was not asked, or finds that the targets are
    not met.

    `noise` is the standard error of the difference between `simulated` and the chosen plan's value;
    both plans were simulated with the same runs at the same times. `note` says in what the plan
    differs.
    """

    allocation: Allocation
    pipeline: float | None
    replay: float | None
    simulated: float | None = None
    noise: float | None = None
    note: str = ""


class Explanation(Record, frozen=True, kw_only=True):
    """Why this plan was chosen: sentences for people, and the other plans that were considered.

    `finalists` are in the order of the last predictor that was asked; the chosen plan is the first.
    """

    summary: tuple[str, ...]
    finalists: tuple[Finalist, ...] = ()
    runners_up: tuple[RunnerUp, ...] = ()
    skipped: tuple[str, ...] = ()


class Plan(Record, frozen=True, kw_only=True):
    """Allocation and placement with their prediction: all that a deployment needs.

    `time_scale` is that of the emulated engines on which the plan was profiled.
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
