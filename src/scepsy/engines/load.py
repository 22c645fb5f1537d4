"""How busy an engine is, read from its GET /metrics (pure)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """One engine at one moment. A number that the engine does not report is None.

    Attributes:
        running: sequences in the current batch.
        waiting: sequences that wait to join it.
        kv_usage: used fraction of the KV cache, 0 to 1.
        busy_seconds: seconds in which the engine computed, since it started.
        prefix_queries: prompt tokens looked up in the prefix cache since the engine started.
        prefix_hits: those of them that were found there.
        preemptions: how often a running sequence lost its KV cache since the engine started.
    """

    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None
    busy_seconds: float | None = None
    prefix_queries: float | None = None
    prefix_hits: float | None = None
    preemptions: float | None = None

    @property
    def in_flight(self) -> float:
        """Sequences that run or wait; 0 where the engine reports neither."""
        return (self.running or 0.0) + (self.waiting or 0.0)

    @property
    def reported(self) -> bool:
        """Whether the engine reports anything that we know."""
        return self != EngineLoad()


METRICS: Mapping[str, str] = {
    # vLLM's names, under which the emulated engine reports, too.
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:kv_cache_usage_perc": "kv_usage",  # a fraction, in spite of its name
    "vllm:prefix_cache_queries_total": "prefix_queries",
    "vllm:prefix_cache_hits_total": "prefix_hits",
    "vllm:num_preemptions_total": "preemptions",
    # The emulated engine alone knows how long it computed.
    "scepsy_emulated:busy_seconds_total": "busy_seconds",
    # SGLang 0.5: https://docs.sglang.io, "Production Metrics".
    "sglang:num_running_reqs": "running",
    "sglang:num_queue_reqs": "waiting",
    "sglang:token_usage": "kv_usage",
    # llama.cpp's server reports no KV usage since it has a unified cache.
    "llamacpp:requests_processing": "running",
    "llamacpp:requests_deferred": "waiting",
}
"""The field of `EngineLoad` for each metric that an engine may have."""

# A sample of the Prometheus text format: name, labels, value and an optional timestamp.
_SAMPLE = re.compile(r"([\w:]+)(?:\{.*\})?\s+([-+.\w]+)(?:\s+-?\d+)?")


def read_load(metrics: str) -> EngineLoad:
    """The load that a Prometheus text of any engine reports.

    Lines that are no samples, and values that no load can have (NaN, infinite, negative), are
    passed over. A data-parallel engine reports each metric once per core. Counts are summed over
    cores, and the KV cache's usage is averaged.
    """
    found: dict[str, list[float]] = {}
    for line in metrics.splitlines():
        sample = _SAMPLE.fullmatch(line.strip())
        if sample is None or sample[1] not in METRICS:
            continue
        value = _number(sample[2])
        if value is not None:
            found.setdefault(METRICS[sample[1]], []).append(value)
    load = {field: sum(values) for field, values in found.items()}
    if "kv_usage" in load:
        load["kv_usage"] /= len(found["kv_usage"])
    return EngineLoad(**load)


def _number(text: str) -> float | None:
    """A finite number that is not negative; None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
