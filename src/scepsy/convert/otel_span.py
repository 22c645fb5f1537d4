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
from scepsy.convert.foreign_record import ForeignRecord, Json
from scepsy.convert.instants import NANO, decimal
from scepsy.convert.span import LlmRequest, Span
from scepsy.core.trace import Call

OURS = "scepsy."
"""Attributes of our own export, whose texts are names whatever they say."""
OWN = f"{OURS}call."
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
_ATTRIBUTES = ("attributes", "Attributes", "SpanAttributes", "span_attributes", "tags", "data")
_STATUS = (
    "status.code", "status.status_code", "status.statusCode", "Status.Code", "status_code",
    "statusCode", "StatusCode", "otel_status_code", "status",
)  # fmt: skip
_MESSAGE = (
    "status.message", "status.description", "Status.Description", "status_message", "StatusMessage",
    "otel_status_message",
)  # fmt: skip
_WHOLE = (*_ATTRIBUTES, "resource", "Resource", "events", "Events", "links", "Links")
_FAILED = ("ERROR", "FAIL", "CANCEL", "EXCEEDED", "DENIED", "UNAVAILABLE", "ABORTED")
"""Parts of the words by which a status says that something failed."""


def recognises(part: ForeignRecord) -> bool:
    """Whether this object is a span: it has ids and a time, each under a name of one dialect."""
    fields = _spread(part).fields
    return (
        any(fields.get(name) for name in TRACE)
        and any(fields.get(name) for name in SPAN)
        and any(name in fields for name in (*_NANOS[0], *_START))
        and (
            any(name in part.fields for name in _ATTRIBUTES)
            or any(name.startswith("attributes.") for name in part.fields)
        )
    )


def read(told: ForeignRecord, service: str | None = None, teller: str | None = None) -> Span:
    """One span, of the service of that name. Raises UnusableRecordError."""
    flat = _spread(told)
    trace, name = flat.text(*TRACE), flat.text(*SPAN)
    start, end = _times(flat)
    if trace is None or name is None or start is None:
        raise told.missing("traceId", "spanId", "startTimeUnixNano")
    found = attributes_of(told)
    title = flat.text("name", "Name", "operationName", "SpanName", "description")
    parent = _parent(told, flat)
    asked = read_span(found, start, title)
    own = {key.removeprefix(OWN): at for key, at in found.fields.items() if key.startswith(OWN)}
    return Span(
        id=_plain(name),
        trace=_plain(trace),
        parent=parent,
        run=found.text("scepsy.run"),
        start=start,
        end=end,
        where=told.place,
        asked=None if isinstance(asked, str) else _streamed(asked, told),
        what=asked if isinstance(asked, str) else "LLM call",
        teller=teller or flat.text("scope.name", "instrumentationScope.name", "ScopeName") or title,
        workflow=workflow_of(found),
        workflow_guess=_guess(title, service)
        if parent is None and isinstance(asked, str)
        else None,
        error=_error(flat, found),
        own={key: at for key, at in own.items() if key in Call.__struct_fields__},
    )


def attributes_of(told: ForeignRecord) -> ForeignRecord:
    """A span's or resource's attributes as one flat object."""
    flat: dict[str, object] = {}
    where = f"{told.path}.attributes"
    for name in _ATTRIBUTES:
        value = told.fields.get(name)
        if isinstance(value, list):
            for pair in told.parts(name):
                key = pair.text("key", "Key")
                if key is not None:
                    flat[key] = _value(pair.fields.get("value", pair.fields.get("Value")))
        elif value is not None and (found := told.part(name).fields):
            flat |= found  # some have names with dots, others objects in objects
            flat |= told.with_fields(where, found).flat().fields
    heads = ("attributes.", "span_attributes.")
    for key, value in told.fields.items():
        head = next((head for head in heads if key.startswith(head)), None)
        if head is not None:
            flat[key.removeprefix(head)] = value
    # Phoenix tells the kind beside the attributes, Sentry the operation.
    for key, beside in (("openinference.span.kind", "span_kind"), ("sentry.op", "op")):
        if told.fields.get(beside):
            flat.setdefault(key, told.fields[beside])
    ours = any(key.startswith(OURS) for key in flat)
    return replace(told.with_fields(where, flat), literal=ours)


def _value(value: object) -> object:
    """An OTLP AnyValue, or the plain value that others write."""
    if not isinstance(value, dict):
        return value
    told = {key[:1].lower() + key[1:]: one for key, one in cast(Json, value).items()}
    inner = told.get("arrayValue", told.get("array_value"))
    if inner is not None:
        values = cast(Json, inner).get("values") if isinstance(inner, dict) else None
        return [_value(one) for one in cast(list[object], values)] if values else []
    number = told.get("intValue", told.get("int_value"))
    if number is not None:
        found = decimal(number)
        return number if found is None or found != found.to_integral_value() else int(found)
    if "value" in told:  # the Go SDK's {"Type", "Value"}
        return told["value"]
    return next((one for one in told.values() if one is not None), None)


def _spread(told: ForeignRecord) -> ForeignRecord:
    """The fields of a span, those of its context and status spread, without attributes."""
    kept = {key: value for key, value in told.fields.items() if key not in _WHOLE}
    for key, value in kept.items():
        if isinstance(value, dict):
            return told.with_fields(told.where, kept).flat()
        if key in ("context", "status") and isinstance(value, str) and value.startswith("{"):
            kept = {**kept, key: told.part(key).fields}
            return told.with_fields(told.where, kept).flat()
    return told.with_fields(told.where, kept)


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
    """Seconds of a span that tells its duration instead of its end."""
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


def _parent(told: ForeignRecord, flat: ForeignRecord) -> str | None:
    name = flat.text(*_PARENT)
    if name is None:
        for reference in told.parts("references"):
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
    message = flat.text(*_MESSAGE) or found.text("error.message", "exception.message")
    return message or cause or "failed"


def _streamed(asked: LlmRequest, told: ForeignRecord) -> LlmRequest:
    """The instrumentations mark the first token of a stream by an event."""
    for event in _events(told) if asked.first_token is None else ():
        if event.text("name", "Name") in FIRST_TOKEN:
            at = event.nanoseconds("timeUnixNano", "time_unix_nano") or event.moment(
                "timestamp", "time", "Time"
            )
            return replace(asked, stream=True, first_token=at)
    return asked


def _events(told: ForeignRecord) -> Iterator[ForeignRecord]:
    yield from told.parts("events", "Events") if told.fields.get("events") else ()


def _guess(name: str | None, service: str | None) -> str | None:
    """A root span's name, or the service's where that is only a way to be called."""
    known = service if service and not service.startswith("unknown_service") else None
    by_http = name is None or name.split(" ")[0] in ("GET", "POST", "PUT")
    return known or name if by_http else name
