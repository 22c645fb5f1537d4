"""One OpenTelemetry span as a JSON object, in the dialects of those who write spans so.

The names of fields differ, the meaning does not: OTLP JSON (`traceId`, `startTimeUnixNano`,
attributes as a list), the console exporters of the Python SDK (`context.trace_id`, `start_time`,
attributes as an object), of the JavaScript SDK (`id`, `timestamp` and `duration` in microseconds)
and of the Go SDK (`SpanContext.TraceID`), Phoenix (`span_kind`, `status_code`), its dataframes
(columns `context.trace_id`, `attributes.llm.model_name`), Jaeger (`traceID`, `tags`), Sentry
(`start_timestamp`, `data`) and ClickHouse's table (`SpanAttributes`, `Duration` in nanoseconds).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from scepsy.convert.attributes import FIRST_TOKEN, read_span, workflow_of
from scepsy.convert.foreign_record import ForeignRecord
from scepsy.convert.instants import NANO, decimal
from scepsy.convert.otel_attributes import ATTRIBUTES, OURS, attributes_of
from scepsy.convert.span import LlmRequest, Span
from scepsy.core.trace import Call

OWN = f"{OURS}call."
"""Attributes of our own export that are fields of `Call`."""
TRACE = (
    "traceId", "trace_id", "traceID", "TraceId", "context.trace_id", "context.traceId",
    "spanContext.traceId", "_spanContext.traceId", "SpanContext.TraceID", "contexts.trace.trace_id",
)  # fmt: skip
SPAN = (
    "spanId", "span_id", "spanID", "SpanId", "context.span_id", "context.spanId",
    "spanContext.spanId", "_spanContext.spanId", "SpanContext.SpanID", "id",
)  # fmt: skip
_PARENT = (
    "parentSpanId", "parent_span_id", "parentSpanID", "ParentSpanId", "parentId", "parent_id",
    "parentSpanContext.spanId", "Parent.SpanID", "parent.span_id", "parent.spanId",
)  # fmt: skip
_NANOS = (("startTimeUnixNano", "start_time_unix_nano", "start_time_ns"),
          ("endTimeUnixNano", "end_time_unix_nano", "end_time_ns"))  # fmt: skip
_START = (
    "startTime", "start_time", "StartTime", "start_timestamp", "startTimestamp", "Timestamp",
    "timestamp",
)  # fmt: skip
_END = ("endTime", "end_time", "EndTime", "end_timestamp", "endTimestamp")
_STATUS = (
    "status.code", "status.status_code", "status.statusCode", "Status.Code", "status_code",
    "statusCode", "StatusCode", "otel_status_code", "status",
)  # fmt: skip
_MESSAGE = (
    "status.message", "status.description", "Status.Description", "status_message", "StatusMessage",
    "otel_status_message",
)  # fmt: skip
_WHOLE = (*ATTRIBUTES, "resource", "Resource", "events", "Events", "links", "Links")
_FAILED = ("ERROR", "FAIL", "CANCEL", "EXCEEDED", "DENIED", "UNAVAILABLE", "ABORTED")
"""Parts of the words by which a status says that something failed."""


def recognises(part: ForeignRecord) -> bool:
    """Whether this object is a span: it has ids and a time, each under a name of one dialect."""
    fields = _spread(part).fields
    return (
        any(_is_id(fields.get(name)) for name in TRACE)
        and any(_is_id(fields.get(name)) for name in SPAN)
        and any(name in fields for name in (*_NANOS[0], *_START))
        and (
            any(name in part.fields for name in ATTRIBUTES)
            or any(name.startswith("attributes.") for name in part.fields)
        )
    )


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and bool(value)


def read(
    record: ForeignRecord, service: str | None = None, instrumentation: str | None = None
) -> Span:
    """One span, of the service of that name. Raises UnusableRecordError."""
    found = attributes_of(record)
    flat = replace(_spread(record), literal=found.literal)
    trace, name = flat.text(*TRACE), flat.text(*SPAN)
    start, end = _times(flat)
    if trace is None or name is None or start is None:
        raise record.missing("traceId", "spanId", "startTimeUnixNano")
    title = flat.text("name", "Name", "operationName", "SpanName", "description")
    parent = _parent(record, flat)
    request = read_span(found, start, title)
    own = {key.removeprefix(OWN): at for key, at in found.fields.items() if key.startswith(OWN)}
    return Span(
        id=_plain(name),
        trace=_plain(trace),
        parent=parent,
        run=found.text("scepsy.run"),
        start=start,
        end=end,
        where=record.place,
        request=None if isinstance(request, str) else _streamed(request, record),
        kind=request if isinstance(request, str) else "LLM call",
        instrumentation=instrumentation
        or flat.text("scope.name", "instrumentationScope.name", "ScopeName")
        or title,
        workflow=workflow_of(found),
        workflow_guess=_guess(title, service)
        if parent is None and isinstance(request, str)
        else None,
        error=_error(flat, found),
        own={key: at for key, at in own.items() if key in Call.__struct_fields__},
    )


def _spread(record: ForeignRecord) -> ForeignRecord:
    """The fields of a span, those of its context and status spread, without attributes."""
    kept = {key: value for key, value in record.fields.items() if key not in _WHOLE}
    for key, value in kept.items():
        if isinstance(value, dict):
            return record.with_fields(record.where, kept).flat()
        if key in ("context", "status") and isinstance(value, str) and value.startswith("{"):
            kept = {**kept, key: record.part(key).fields}
            return record.with_fields(record.where, kept).flat()
    return record.with_fields(record.where, kept)


def _times(flat: ForeignRecord) -> tuple[float | None, float | None]:
    start = flat.nanoseconds(*_NANOS[0]) or flat.moment(*_START)
    end = flat.nanoseconds(*_NANOS[1])
    if end is None:
        end = flat.moment(*_END)
    if end is None and start is not None and not flat.has("start_timestamp"):
        took = _took(flat)
        end = None if took is None else start + took
    if end is None and flat.has("start_timestamp"):
        end = flat.moment("timestamp")  # Sentry's name for the end
    return start, end


def _took(flat: ForeignRecord) -> float | None:
    """Seconds of a span that has a duration instead of an end."""
    pair = flat.fields.get("duration")
    if isinstance(pair, list) and len(cast(list[object], pair)) == 2:
        parts = [decimal(one) for one in cast(list[object], pair)]
        return (
            None
            if None in parts
            else float(cast(int, parts[0])) + float(cast(int, parts[1])) / NANO
        )
    for name, unit in (("Duration", NANO), ("duration_ns", NANO), ("duration_ms", 1000)):
        if flat.fields.get(name) is not None:
            took = flat.number(name)
            return None if took is None else took / unit
    took = flat.number("duration")
    return None if took is None else took / 1e6


def _parent(record: ForeignRecord, flat: ForeignRecord) -> str | None:
    name = flat.text(*_PARENT)
    if name is None:
        for reference in record.parts("references"):
            if reference.text("refType") in (None, "CHILD_OF"):
                name = reference.text("spanID", "spanId")
                break
    plain = None if name is None else _plain(name)
    return plain if plain and plain.strip("0") and plain != "undefined" else None


def _plain(name: str) -> str:
    """An id without the mark of hexadecimal numbers that some write before it."""
    return name.removeprefix("0x")


def _error(flat: ForeignRecord, found: ForeignRecord) -> str | None:
    """What went wrong; None where nothing did."""
    code = next((flat.fields[name] for name in _STATUS if flat.fields.get(name) is not None), None)
    said = str(found.fields.get("otel.status_code") or code).upper()
    by_code = code == 2 or said == "2" or any(word in said for word in _FAILED)
    cause = found.text("error.type", "exception.type")
    http = found.number("http.response.status_code", "http.status_code")
    marked = found.true("error") or (http is not None and http >= 400)
    if not (by_code or marked or (cause is not None and found.has("error.type"))):
        return None
    message = flat.text(*_MESSAGE) or found.text(
        "otel.status_description", "error.message", "exception.message"
    )
    return message or cause or "failed"


def _streamed(request: LlmRequest, record: ForeignRecord) -> LlmRequest:
    """The instrumentations mark the first token of a stream by an event."""
    for event in _events(record) if request.first_token is None else ():
        if event.text("name", "Name") in FIRST_TOKEN:
            at = event.nanoseconds("timeUnixNano", "time_unix_nano") or event.moment(
                "timestamp", "time", "Time"
            )
            return replace(request, stream=True, first_token=at)
    return request


def _events(record: ForeignRecord) -> Iterator[ForeignRecord]:
    yield from record.parts("events", "Events") if record.fields.get("events") else ()


def _guess(name: str | None, service: str | None) -> str | None:
    """A root span's name, or the service's where that is only a way to be called."""
    known = service if service and not service.startswith("unknown_service") else None
    by_http = name is None or name.split(" ")[0] in ("GET", "POST", "PUT")
    return known or name if by_http else name
