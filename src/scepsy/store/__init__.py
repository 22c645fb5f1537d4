"""Reads and writes files: traces, profiles, plans, clusters, LLMs, foreign traces."""

from __future__ import annotations

from scepsy.store.arrivals import read_arrivals
from scepsy.store.cluster_toml import cluster_toml
from scepsy.store.files import read_record, read_toml, write_atomic, write_record
from scepsy.store.foreign import read_foreign
from scepsy.store.inputs import read_cluster, read_llms, read_plan, read_profile
from scepsy.store.trace_files import holds_traces
from scepsy.store.trace_log import TraceCounts, TraceLog
from scepsy.store.traces import TraceSet, TraceWriter, read_traces

__all__ = [
    "TraceCounts",
    "TraceLog",
    "TraceSet",
    "TraceWriter",
    "cluster_toml",
    "holds_traces",
    "read_arrivals",
    "read_cluster",
    "read_foreign",
    "read_llms",
    "read_plan",
    "read_profile",
    "read_record",
    "read_toml",
    "read_traces",
    "write_atomic",
    "write_record",
]
