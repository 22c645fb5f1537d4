"""Spans as Arize Phoenix exports them, with OpenInference attributes.

The REST API and its clients give `{"data": [...]}` with `context.trace_id`, `parent_id`,
`start_time`, `attributes` (github Arize-ai/phoenix, schemas/openapi.json, Span); a dataframe of
spans has the same as columns `context.trace_id`, `attributes.llm.model_name`, ...; `/spans/otlpv1`
gives OTLP spans in a list, their names in snake case (OtlpSpan there). OpenTelemetry's console
exporter for Python writes similar objects, but with a nested `status` and a `kind` of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert import otel_span
from scepsy.convert.foreign_record import ForeignRecord, each
from scepsy.convert.span import Span


def recognises(part: ForeignRecord) -> bool:
    fields = part.fields
    own = "span_kind" in fields or isinstance(fields.get("status_code"), str)
    listed = "start_time_unix_nano" in fields and isinstance(fields.get("attributes"), list)
    return (own or listed) and otel_span.recognises(part)


def recognises_others(part: ForeignRecord) -> bool:
    """Whether this is one span of another dialect of OpenTelemetry."""
    return not recognises(part) and otel_span.recognises(part)


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, lambda one: [otel_span.read(one)])
