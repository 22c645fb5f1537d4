"""The results of a simulation: `simulation.json`."""

from __future__ import annotations

from scepsy.core.record import Record
from scepsy.traces.latency_trend import LoadVerdict


class LatencyDistribution(Record, frozen=True, kw_only=True):
    """A distribution in seconds. `percentiles` are the 0th, 1st, ... 100th. `p99` is None for fewer
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
    """The calls of one LLM: their duration, their time to first token, and the fraction of their
    prompt tokens that was cached.
    """

    llm: str
    calls: int
    latency: LatencyDistribution
    first_token: LatencyDistribution
    cached: float
    preemptions: int


class GpuResult(Record, frozen=True, kw_only=True):
    """One GPU: the fraction of its compute that belonged to busy engines, in each of the equal
    parts of the measured window, and the mean of these.
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
    """The results at `scale` times the requested rates."""

    scale: float
    workflows: tuple[WorkflowResult, ...]


class SimulationResult(Record, frozen=True, kw_only=True):
    """The results at the requested rates. `curve` adds other loads and includes the requested one.
    Times are those of the plan's engines: wall-clock seconds at its time scale.
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
