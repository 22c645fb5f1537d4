"""OTLP JSON: what OpenTelemetry collectors and file exporters write, by any GenAI convention.

`{"resourceSpans": [{"resource", "scopeSpans": [{"spans": [...]}]}]}`, one document or one a line
(github open-telemetry/opentelemetry-proto, docs/specification.md: lower camel case, ids in hex,
64-bit numbers as text).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal

from scepsy.convert.attributes import FIRST_TOKEN, asked_of, workflow_of
from scepsy.convert.part import ForeignRecord
from scepsy.convert.span import LlmRequest, Span
from scepsy.core.trace import Call

OWN = "scepsy.call."
NANO = 10**9
ERROR = (2, "STATUS_CODE_ERROR")


def recognises(part: ForeignRecord) -> bool:
    return part.has("resourceSpans")


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    for document in parts:
        for resource in document.parts("resourceSpans"):
            service = attributes(resource.part("resource")).text("service.name")
            for scope in resource.parts("scopeSpans"):
                teller = scope.part("scope").text("name")
                for span in scope.parts("spans"):
                    yield replace(span_of(span, service), teller=teller)


def span_of(told: ForeignRecord, service: str | None) -> Span:
    """One OTLP span, of the service of that name."""
    found = attributes(told)
    trace, name, start = told.text("traceId"), told.text("spanId"), told.text("startTimeUnixNano")
    if trace is None or name is None or start is None:
        raise told.missing("traceId, spanId or startTimeUnixNano")
    begin = _seconds(told, "startTimeUnixNano")
    status = told.part("status")
    failed = status.fields.get("code") in ERROR
    cause = status.text("message") or found.text("error.type") or "failed"
    own = {key.removeprefix(OWN): at for key, at in found.fields.items() if key.startswith(OWN)}
    asked = asked_of(found, begin)
    parent = told.text("parentSpanId")
    return Span(
        id=name,
        trace=trace,
        parent=parent if parent and parent.strip("0") else None,
        run=found.text("scepsy.run"),
        start=begin,
        end=_seconds(told, "endTimeUnixNano") if told.text("endTimeUnixNano") else None,
        where=f"{told.file}{told.where}",
        asked=asked if asked is None else _streamed(asked, told),
        workflow=workflow_of(found),
        workflow_guess=_guess(told, service) if parent is None and asked is None else None,
        error=cause if failed else None,
        own={key: at for key, at in own.items() if key in Call.__struct_fields__},
    )


def _streamed(asked: LlmRequest, told: ForeignRecord) -> LlmRequest:
    for event in told.parts("events") if asked.first_token is None else ():
        if event.text("name") in FIRST_TOKEN and event.text("timeUnixNano"):
            return replace(asked, stream=True, first_token=_seconds(event, "timeUnixNano"))
    return asked


def _guess(told: ForeignRecord, service: str | None) -> str | None:
    """A root span's name, or the service's where that is only a way to be called."""
    name = told.text("name")
    known = service if service and not service.startswith("unknown_service") else None
    by_http = name is None or name.split(" ")[0] in ("GET", "POST", "PUT")
    return known or name if by_http else name


def attributes(told: ForeignRecord) -> ForeignRecord:
    """A span's or resource's attributes as one flat object."""
    flat: dict[str, object] = {}
    for pair in told.parts("attributes"):
        key = pair.text("key")
        if key is None:
            raise pair.missing("key")
        flat[key] = _value(pair.part("value"))
    return ForeignRecord(told.file, f"{told.path}.attributes", flat)


def _value(told: ForeignRecord) -> object:
    if told.has("intValue"):
        return told.number("intValue") if _fraction(told) else int(str(told.fields["intValue"]))
    if told.has("arrayValue"):
        return [_value(one) for one in told.part("arrayValue").parts("values")]
    return next(iter(told.fields.values()), None)


def _fraction(told: ForeignRecord) -> bool:
    return not str(told.fields["intValue"]).removeprefix("-").isdecimal()


def _seconds(told: ForeignRecord, name: str) -> float:
    """Nanoseconds, written as text or as a number, to the float that is nearest."""
    nanos = str(told.fields[name])
    if not nanos.isdecimal():
        raise told.wrong(name, "nanoseconds since 1970")
    return float(Decimal(nanos) / NANO)
