"""Files that people may try to import but that are no traces: recognised, to say what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from scepsy.convert.foreign_record import ForeignRecord, Json

_ASK_OTLP = "have the collector or its storage export OTLP JSON instead"
_AGENTS = (
    "what the OpenAI Agents SDK sends to its own dashboard: add an OpenTelemetry exporter "
    "(OpenInference, OpenLLMetry), or trace with `scepsy trace`"
)
_SIGNS = (
    (("traceEvents",), "a Chrome/Perfetto trace: it is made for viewing, and has no token counts"),
    (
        ("ContextTokens", "GeneratedTokens"),
        "an Azure LLM inference trace: single calls of no known LLM and no known run",
    ),
    (("resourceMetrics",), "OTLP metrics, not traces: export the spans"),
    (("resourceLogs",), "OTLP logs, not traces: export the spans"),
    (("call", "run", "llm", "endpoint"), "calls of Scepsy itself: name their directory instead"),
    (("messages",), "a conversation or a fine-tuning set: it has no times"),
    (("conversations",), "a fine-tuning set: it has no times"),
    (("custom_id",), "a file of the OpenAI batch API: it has no times and no runs"),
    (("object", "span_data"), _AGENTS),
    (("traceId", "timestamp", "duration"), f"a Zipkin trace: {_ASK_OTLP}"),
    (("traceID",), f"a Jaeger trace: {_ASK_OTLP}"),
    (("data", "total", "limit"), f"an answer of Jaeger's API: {_ASK_OTLP}"),
    (("log",), "a HAR file of a browser: it has no runs"),
    (("Session ID", "Request tokens"), "BurstGPT: single calls of conversations, no workflow's"),
    (
        ("trace_id", "span_id", "resource", "meta"),
        "a trace of Datadog APM: export the spans of LLM Observability instead",
    ),
    (("choices", "usage"), "an answer of the OpenAI API, not a trace"),
)
"""Fields by which a kind of file is recognised, and the description of the file."""


_ERROR = "an error message of a server, not a trace: was it asked with the right key?"
_RECORDS = (
    "resourceSpans", "resource_spans", "data", "traces", "spans", "observations", "runs",
    "results", "items", "records", "rows", "hits",
)  # fmt: skip
"""Fields that hold the records of an export."""
_FIELDS_MAX = 5
"""An object with more fields has other things to say than its error, or that it is empty."""


def what_else(records: Sequence[ForeignRecord]) -> str | None:
    """What the records are, for records of no format that we read; None where that is unknown."""
    for record in records:
        for names, what in _SIGNS:
            if record.has(*names):
                return what
        if len(record.fields) > _FIELDS_MAX:
            continue
        if record.has("detail") or record.has("error"):
            return _ERROR
        if (name := _empty(record.fields)) is not None:
            return f"an empty export: {name!r} holds nothing. Does it cover the time of the runs?"
    return None


def _empty(fields: Json, depth: int = 1) -> str | None:
    """The field that would hold the records, where it is empty."""
    for name in _RECORDS:
        value = fields.get(name, ...)
        if value is None or value == []:
            return name
        if depth and isinstance(value, dict):
            return _empty(cast(Json, value), depth - 1)
    return None
