"""How busy an engine is, from its GET /metrics (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """One engine at one moment.

    Attributes:
        running: sequences in the current batch.
        waiting: sequences that wait to join it.
        kv_usage: used fraction of the KV cache, 0 to 1.
        prefix_queries: prompt tokens looked up in the prefix cache since the engine started.
        prefix_hits: those of them that were found there.
        preemptions: how often a running sequence lost its KV cache since the engine started.
    """

    running: float
    waiting: float
    kv_usage: float
    prefix_queries: float
    prefix_hits: float
    preemptions: float


VLLM = {
    "running": "vllm:num_requests_running",
    "waiting": "vllm:num_requests_waiting",
    "kv_usage": "vllm:kv_cache_usage_perc",
    "prefix_queries": "vllm:prefix_cache_queries_total",
    "prefix_hits": "vllm:prefix_cache_hits_total",
    "preemptions": "vllm:num_preemptions_total",
}
"""vLLM's metric names, which the emulated engine has too."""

# A sample of the Prometheus text format: name, labels, value and an optional timestamp.
_SAMPLE = re.compile(r"([\w:]+)(?:\{.*\})?\s+([-+.\w]+)(?:\s+-?\d+)?")


def read_load(metrics: str, names: Mapping[str, str] = VLLM) -> EngineLoad:
    """The load that a Prometheus text reports; a metric that is missing counts as 0.

    A data-parallel engine reports each metric once per core. Counts are summed over cores, and the
    KV cache's usage is averaged.
    """
    found: dict[str, list[float]] = {name: [] for name in names.values()}
    for line in metrics.splitlines():
        sample = _SAMPLE.fullmatch(line.strip())
        if sample is not None and sample[1] in found:
            found[sample[1]].append(float(sample[2]))
    sums = {field: sum(found[name]) for field, name in names.items()}
    sums["kv_usage"] /= len(found[names["kv_usage"]]) or 1
    return EngineLoad(**sums)
