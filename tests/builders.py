"""Small values that many tests need."""

from __future__ import annotations

from collections.abc import Sequence

from scepsy.core.profile import Curve, ProfilePoint
from scepsy.core.trace import Call, Trace
from scepsy.traces.graph import RunGraph, Wait


def call(llm: str, start: float, end: float, **fields: object) -> Call:
    """A successful chat call."""
    known: dict[str, object] = {
        "call": f"{llm}-{start}-{end}",
        "run": "r0",
        "workflow": "w",
        "endpoint": "chat",
        "status": 200,
        "prompt_tokens": 100,
        "output_tokens": 20,
    }
    return Call(llm=llm, start=start, end=end, **{**known, **fields})  # pyright: ignore


def trace(*calls: Call, run: str = "r0", workflow: str = "w", ok: bool = True) -> Trace:
    return Trace(
        run=run,
        workflow=workflow,
        start=min(c.start for c in calls),
        end=max(c.end for c in calls),
        calls=calls,
        ok=ok,
    )


def point(rate: float, latency: float, samples: int = 100) -> ProfilePoint:
    return ProfilePoint(
        rate=rate,
        latency=latency,
        p50=latency,
        p90=latency,
        p99=latency,
        ttft=latency / 4,
        tpot=0.01,
        samples=samples,
        noise=0.0,
    )


def curve(
    llm: str,
    latencies: dict[float, float],
    *,
    workflow: str = "w",
    tp: int = 1,
    gpu_share: float = 1.0,
    max_throughput: float = 10.0,
) -> Curve:
    """A curve from {rate: latency}."""
    return Curve(
        llm=llm,
        workflow=workflow,
        tp=tp,
        gpu_share=gpu_share,
        points=tuple(point(rate, latency) for rate, latency in sorted(latencies.items())),
        max_throughput=max_throughput,
        engine="emulated 0",
        gpu_type="h100",
    )


def run_latency(graph: RunGraph, durations: Sequence[float]) -> float:
    """Seconds that the run takes when its calls take `durations`, one call after another: what
    `RunTimes` must agree with.
    """
    ends: list[float] = []

    def begin(wait: Wait) -> float:
        return max((ends[index] for index in wait.after), default=0.0) + wait.gap

    for wait, duration in zip(graph.waits, durations, strict=True):
        ends.append(begin(wait) + duration)
    return begin(graph.end)
