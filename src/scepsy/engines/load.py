"""How busy an engine is, from its GET /metrics (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """One engine at one moment.

    Attributes:
        running, waiting: sequences in the batch, and those that wait to join it.
        kv_usage: part of the KV cache that is held, 0 to 1.
        prefix_queries, prefix_hits: prompt tokens looked up in the prefix cache, and found there,
            since the engine started.
        preemptions: how often a running sequence lost its KV since then.
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
"""vLLM's names, which the emulated engine has too."""


def read_load(metrics: str, names: Mapping[str, str] = VLLM) -> EngineLoad:
    """The load that a Prometheus text tells; what it does not tell is 0. A metric that an engine
    keeps for each of several cores is their sum, but for usage, which is their mean.
    """
    found: dict[str, list[float]] = {name: [] for name in names.values()}
    for line in metrics.splitlines():
        series, _, value = line.rpartition(" ")
        name = series.partition("{")[0]
        if name in found:
            found[name].append(float(value))
    sums = {field: sum(found[name]) for field, name in names.items()}
    sums["kv_usage"] /= len(found[names["kv_usage"]]) or 1
    return EngineLoad(**sums)
