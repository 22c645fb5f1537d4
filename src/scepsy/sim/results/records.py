"""What a simulation has shown: `simulation.json`."""

from __future__ import annotations

from scepsy.core.record import Record
from scepsy.traces.latency_trend import LoadVerdict


class LatencyDistribution(Record, frozen=True, kw_only=True):
    """A distribution of seconds. `percentiles` are its 0th, 1st, ... 100th. `p99` is None for fewer
    than 100 values.
    """

    mean: float
    p50: float
    p90: float
    p99: float | None
    percentiles: tuple[float, ...] = ()


class WorkflowResult(Record, frozen=True, kw_only=True):
    """One workflow over the measured window.

    `runs` arrived in it, `offered_rate` per second. `throughput` is runs completed in it per
    second, with a 90% interval from `throughput_low` to `throughput_high`. `latency_growth` is the
    seconds of latency gained per second, 0 where that is not significant. `verdict`: whether the
    offered rate is sustained.
    """

    workflow: str
    runs: int
    offered_rate: float
    throughput: float
    throughput_low: float = 0.0
    throughput_high: float = 0.0
    latency: LatencyDistribution
    latency_growth: float
    verdict: LoadVerdict = "too short to tell"


class LlmResult(Record, frozen=True, kw_only=True):
    """The calls of one LLM: how long they took, how long until their first token, and the part of
    their prompts that was cached.
    """

    llm: str
    calls: int
    latency: LatencyDistribution
    first_token: LatencyDistribution
    cached: float
    preemptions: int


class GpuResult(Record, frozen=True, kw_only=True):
    """One GPU: the part of its compute given to engines that were busy, in each of the equal parts
    of the measured window, and their mean.
    """

    node: str
    gpu: int
    replicas: tuple[str, ...]
    utilisation: float
    over_time: tuple[float, ...]


class CallSpan(Record, frozen=True, kw_only=True):
    """A call of a run, in seconds since the run arrived."""

    llm: str
    replica: str
    start: float
    first_token: float
    end: float


class SlowRun(Record, frozen=True, kw_only=True):
    """One of the slowest runs, and all of its calls."""

    workflow: str
    latency: float
    calls: tuple[CallSpan, ...]


class LoadPoint(Record, frozen=True, kw_only=True):
    """What the plan does at `scale` times the rates that were asked about."""

    scale: float
    workflows: tuple[WorkflowResult, ...]


class SimulationResult(Record, frozen=True, kw_only=True):
    """`curve` has other loads, of which the load itself is one. Times are those of the plan's
    engines: seconds of the wall clock at its time scale.
    """

    seed: int
    seconds: float
    calls: int
    tokens: int
    workflows: tuple[WorkflowResult, ...]
    llms: tuple[LlmResult, ...]
    gpus: tuple[GpuResult, ...]
    slowest: tuple[SlowRun, ...]
    curve: tuple[LoadPoint, ...]
