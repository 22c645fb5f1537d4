"""Converts foreign traces to ours and back (pure); `store.foreign` reads their files."""

from __future__ import annotations

from scepsy.convert.assembly import Imported, assemble
from scepsy.convert.findings import Finding, Findings
from scepsy.convert.foreign_record import ForeignRecord
from scepsy.convert.formats import FORMATS, detect, spans_of, unwrapped
from scepsy.convert.otlp_export import otlp_documents
from scepsy.convert.perfetto import perfetto_events
from scepsy.convert.span import Span

__all__ = [
    "FORMATS",
    "Finding",
    "Findings",
    "ForeignRecord",
    "Imported",
    "Span",
    "assemble",
    "detect",
    "otlp_documents",
    "perfetto_events",
    "spans_of",
    "unwrapped",
]
