"""The content of a report: a plan, its prediction, and what was measured."""

from __future__ import annotations

from scepsy.core.plan import Plan
from scepsy.core.profile import Profile
from scepsy.core.record import Record
from scepsy.traces.latency_trend import LoadVerdict


class Promise(Record, frozen=True, kw_only=True):
    """What was predicted of a workflow at its target: runs per second, seconds.

    `saturation` is the rate at which its bottleneck saturates.
    """

    throughput: float
    latency_mean: float
    saturation: float


class Measurement(Record, frozen=True, kw_only=True):
    """What was measured of a workflow: runs per second, seconds, numbers of runs.

    `throughput` is counted: successful runs that ended in the window per second, with its 90%
    interval. `verdict` says whether the offered rate is sustained. `latency_p99` is None for fewer
    than 100 runs; `latency_max` is the slowest run's. `standard_error` is that of the mean latency,
    from batch means; None for too few runs.
    """

    offered_rate: float
    throughput: float
    latency_mean: float
    latency_p50: float
    latency_p99: float | None
    latency_max: float
    completed: int
    failed: int
    throughput_low: float = 0.0
    throughput_high: float = 0.0
    verdict: LoadVerdict = "too short to tell"
    standard_error: float | None = None


class WorkflowSummary(Record, frozen=True, kw_only=True):
    """One workflow: target, promise, measurement under the plan and under an even split of the
    GPUs.

    `latency_error` is predicted over measured mean latency, less one. `chance` is the half-width of
    its 90% interval: by how much a right prediction may differ, since the profile has noise and the
    measured runs are few. None where too few runs were measured to tell.
    """

    workflow: str
    target_rate: float
    predicted: Promise
    measured: Measurement
    even_split: Measurement
    latency_error: float
    chance: float | None = None


class LlmSummary(Record, frozen=True, kw_only=True):
    """One LLM of one workflow, and its allocation.

    `predicted_utilisation` is the part of the LLM's capacity that all workflows take at their
    targets. `measured_busy` is the part of the measured window in which its engines computed, as
    they reported it, the mean over replicas; None where they report nothing. An engine that
    computes for one sequence is busy and yet far from its capacity, so the two differ.
    """

    llm: str
    workflow: str
    calls: float
    parallelism: float
    time_share: float
    allocation: str
    predicted_utilisation: float
    measured_busy: float | None = None


class Summary(Record, frozen=True, kw_only=True):
    """The numbers of a demo run; `summary.json`.

    `headroom` is the factor on all target rates at which the plan is predicted to saturate.
    """

    workflows: tuple[WorkflowSummary, ...]
    llms: tuple[LlmSummary, ...]
    seed: int
    seconds: float
    machine: str
    time_scale: float
    engines: str
    headroom: float | None = None


class CurvePoint(Record, frozen=True, kw_only=True):
    """Mean latency in seconds at an offered rate in runs per second."""

    rate: float
    latency: float


class WorkflowCurves(Record, frozen=True, kw_only=True):
    """Throughput-latency curves of one workflow: predicted and measured under the plan and the even
    split. All workflows' rates grow alike along a curve, up to `saturation` runs per second of this
    workflow, where an LLM saturates; None where that was not predicted.
    """

    workflow: str
    target_rate: float
    predicted: tuple[CurvePoint, ...]
    measured: tuple[Measurement, ...]
    even_predicted: tuple[CurvePoint, ...]
    even_measured: tuple[Measurement, ...]
    saturation: float | None = None
    even_saturation: float | None = None


class Report(Record, frozen=True, kw_only=True):
    """Everything that the HTML report draws."""

    summary: Summary
    plan: Plan
    even_split: Plan
    profile: Profile
    curves: tuple[WorkflowCurves, ...]
