"""What an engine can do: latency against arrival rate, measured by replaying traced calls or
estimated.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from scepsy.core.record import Record

Source = Literal["measured", "calibrated", "tabulated", "modelled", "corrected"]
"""Where a curve comes from. "measured": a replay on the engine itself. "calibrated": a replay on
the engine itself, with a simulation of the same calls as a control variate. "tabulated": step times
from a table of measured steps. "modelled": step times from a roofline. "corrected": an estimate
that was adjusted to a measurement.
"""


POOLED_REPLICAS = 4
"""Replicas that share the calls in the simulation from which `ProfilePoint.pooled` comes."""


class Quantiles(Record, frozen=True, kw_only=True):
    """A distribution over calls, in seconds.

    Attributes:
        p50, p90, p99: percentiles.
    """

    p50: float
    p90: float
    p99: float


class Overlap(Record, frozen=True, kw_only=True):
    """Calls of the same run that overlap, in a long simulation at the rate of a point.

    Attributes:
        latency: mean latency of a call, over that in the simulation of one replica.
        parallelism: mean number of a run's calls that are open at once, while any is.
    """

    latency: float
    parallelism: float


class ProfilePoint(Record, frozen=True, kw_only=True):
    """Latency at one arrival rate. Times are seconds.

    Attributes:
        rate: calls per second that were offered; 0 means one call, or one burst of calls, at a
            time.
        latency: mean latency of a call.
        p50, p90, p99: percentiles of the latency over the calls.
        ttft: mean time to the first token.
        tpot: mean time per output token after the first.
        samples: number of calls measured.
        noise: standard error of the mean latency.
        ttft_quantiles, tpot_quantiles: percentiles over the calls; None if answers were not
            streamed.
        one: what was simulated of one replica; its `latency` is 1. None if nothing was.
        pooled: the same where `POOLED_REPLICAS` replicas share the calls, each at this rate.
    """

    rate: float
    latency: float
    p50: float
    p90: float
    p99: float
    ttft: float
    tpot: float
    samples: int
    noise: float
    ttft_quantiles: Quantiles | None = None
    tpot_quantiles: Quantiles | None = None
    one: Overlap | None = None
    pooled: Overlap | None = None


class StepTime(Record, frozen=True, kw_only=True):
    """The time of one engine step, fitted to a profile:

        seconds = fixed + prefill_token * (prompt tokens) + sequence * (decoding sequences)
                  + kv_token * (tokens of KV cache that those sequences read)

    Attributes:
        fixed: seconds per step.
        prefill_token: seconds per prompt token.
        sequence: seconds per decoding sequence.
        kv_token: seconds per token of KV cache.
        error: mean relative error of the fit on the points to which it was fitted.
    """

    fixed: float
    prefill_token: float
    sequence: float
    kv_token: float
    error: float


class Curve(Record, frozen=True, kw_only=True):
    """One replica of `llm` at (tp, gpu_share), serving the calls that `workflow` makes of it.

    If several workflows call the LLM, their calls were replayed together, in the proportion `mix`.
    Then `latency` is that of this workflow's calls, and the rates are those at which this workflow
    alone would cause the same load.

    Attributes:
        llm: name of the LLM.
        workflow: name of the workflow.
        tp: tensor-parallel degree.
        gpu_share: fraction of each GPU's compute.
        points: one per rate, in rising order of rate.
        max_throughput: calls per second at saturation.
        time_scale: how many times faster than real time an emulated engine ran.
        mix: runs per second of each workflow, relative to one another.
        engine: name and version of the engine.
        flags: command-line options of the engine that differ from its defaults.
        gpu_type, machine: where the curve was measured, or the GPU type for which it was estimated.
        source: where the numbers come from.
        error: expected relative error of an estimate's mean latency: the mean absolute error of
            that source against measurements. 0 for a curve that is not an estimate, whose points
            have their own `noise`.
        steps: step-time constants fitted to the points; None if none were fitted.
        at_least: whether the engine sustained the highest rate that was offered, so that it may
            saturate later than `max_throughput` says.
        slowdown_of: the workflow whose slowdown under load the points show, where too few calls of
            this curve's own workflow were measured under load; else empty.
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
    flags: tuple[str, ...] = ()
    source: Source = "measured"
    error: float = 0.0
    steps: StepTime | None = None
    at_least: bool = False
    slowdown_of: str = ""

    @property
    def estimated(self) -> bool:
        """Whether the curve does not come from a replay of its own calls on the engine."""
        return self.source not in ("measured", "calibrated")


class Profile(Record, frozen=True, kw_only=True):
    """All the curves that a plan may use.

    Attributes:
        curves: one per LLM, workflow and size of replica.
    """

    curves: tuple[Curve, ...]
