"""OTLP JSON, as OpenTelemetry collectors, file exporters and Tempo write it.

`{"resourceSpans": [{"resource", "scopeSpans": [{"spans": [...]}]}]}`, one document or one a line
(github open-telemetry/opentelemetry-proto, docs/specification.md: lower camel case, ids in hex,
64-bit numbers as text). Before version 0.15 of the protocol `scopeSpans` was named
`instrumentationLibrarySpans`; Tempo's API says `batches` for `resourceSpans`; programs that dump
protobuf objects write the names in snake case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from scepsy.convert import otel_span
from scepsy.convert.foreign_record import ForeignRecord, each
from scepsy.convert.otel_attributes import attributes_of
from scepsy.convert.span import Span

_RESOURCES = ("resourceSpans", "resource_spans", "batches")
_SCOPES = (
    "scopeSpans",
    "scope_spans",
    "instrumentationLibrarySpans",
    "instrumentation_library_spans",
)


def recognises(part: ForeignRecord) -> bool:
    whole = any(isinstance(part.fields.get(name), list) for name in _RESOURCES[:2])
    return whole or _tempo(part) or any(name in part.fields for name in _SCOPES)


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _document)


def _document(document: ForeignRecord) -> Iterator[Span]:
    if any(name in document.fields for name in _SCOPES):
        yield from _resource(document)
        return
    if not any(name in document.fields for name in _RESOURCES):
        raise document.missing("resourceSpans")
    yield from each(document.parts(*_RESOURCES), _resource)


def _resource(resource: ForeignRecord) -> Iterator[Span]:
    service = attributes_of(resource.part("resource")).text("service.name")
    for scope in resource.parts(*_SCOPES):
        library = scope.part("scope", "instrumentationLibrary").text("name")
        read = partial(otel_span.read, service=service, instrumentation=library)
        yield from each(scope.parts("spans"), lambda one, read=read: [read(one)])


def _tempo(part: ForeignRecord) -> bool:
    found = next(part.parts("batches"), None) if "batches" in part.fields else None
    return found is not None and any(name in found.fields for name in _SCOPES)
