"""Transactions of Sentry as its SDKs send them and its API returns them.

Fields by develop.sentry.dev/sdk/data-model/event-payloads/transaction and .../span: the event is
the root span, whose ids stand in `contexts.trace`; `spans` has all others. Times are Unix seconds
or dates; `timestamp` is the end. Attributes of a span stand in `data`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert import otel_span
from scepsy.convert.foreign_record import ForeignRecord, each
from scepsy.convert.span import Span


def recognises(part: ForeignRecord) -> bool:
    trace = part.part("contexts").part("trace")
    return part.has("contexts", "start_timestamp") and trace.has("trace_id", "span_id")


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _transaction)


def _transaction(event: ForeignRecord) -> Iterator[Span]:
    trace = event.part("contexts").part("trace")
    root = {
        **trace.fields,
        "name": event.fields.get("transaction"),
        "start_timestamp": event.fields["start_timestamp"],
        "timestamp": event.fields.get("timestamp"),
    }
    yield from each([event.with_fields(event.where, root)], _span)
    yield from each(event.parts("spans"), _span)


def _span(record: ForeignRecord) -> Iterator[Span]:
    yield otel_span.read(record)
