"""What an engine can do: latency against arrival rate, measured by replaying traced calls."""

from __future__ import annotations

import msgspec

from scepsy.core.record import Record


class ProfilePoint(Record, frozen=True, kw_only=True):
    """One arrival rate, as measured. Seconds; `noise` is the standard error of the mean latency."""

    rate: float
    latency: float
    p50: float
    p90: float
    p99: float
    ttft: float
    tpot: float
    samples: int
    noise: float


class Curve(Record, frozen=True, kw_only=True):
    """One replica of `llm` at (tp, gpu_share), serving the calls that `workflow` makes of it.

    Where several workflows call the LLM, they were measured together, in the proportion `mix`:
    `latency` is of this workflow's calls, and rates are those at which this workflow alone would
    make the load.

    Attributes:
        points: measured rates, rising.
        max_throughput: calls per second at saturation.
        time_scale: how many times faster than the real thing an emulated engine ran.
        mix: runs per second of each workflow, relative to one another.
        engine: name and version of the engine. gpu_type, machine: where it was measured.
    """

    llm: str
    workflow: str
    tp: int
    gpu_share: float
    points: tuple[ProfilePoint, ...]
    max_throughput: float
    engine: str
    gpu_type: str
    time_scale: float = 1.0
    mix: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    machine: str = ""


class Profile(Record, frozen=True, kw_only=True):
    """All the curves that a plan may draw on."""

    curves: tuple[Curve, ...]
