"""Spans as Arize Phoenix exports them, with OpenInference attributes.

The REST API and its clients give `{"data": [...]}` with `context.trace_id`, `parent_id`,
`start_time`, `attributes` (github Arize-ai/phoenix, schemas/openapi.json, Span); a dataframe of
spans has the same as columns `context.trace_id`, `attributes.llm.model_name`, ...; `/spans/otlpv1`
gives OTLP spans in a list, their names in snake case (OtlpSpan there).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import cast

from scepsy.convert import otlp
from scepsy.convert.attributes import FIRST_TOKEN, asked_of, workflow_of
from scepsy.convert.part import ForeignRecord, Json
from scepsy.convert.span import LlmRequest, Span


def recognises(part: ForeignRecord) -> bool:
    if isinstance(part.fields.get("data"), list):
        return any(recognises(one) for one in part.parts("data"))
    if part.has("trace_id", "span_id", "start_time_unix_nano"):
        return True
    flat = part.flat()
    return flat.has("context.trace_id", "context.span_id")


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    for part in parts:
        for one in part.parts("data") if part.has("data") else (part,):
            yield _otlp(one) if one.has("start_time_unix_nano") else _span(one)


def _otlp(told: ForeignRecord) -> Span:
    fields = cast(Json, _camel(told.fields))
    span = otlp.span_of(ForeignRecord(told.file, told.where, fields), service=None)
    return replace(span, teller=told.text("name"))


def _camel(value: object) -> object:
    """`trace_id` -> `traceId` in all names; what is null is left out."""
    if isinstance(value, list):
        return [_camel(one) for one in cast(list[object], value)]
    if not isinstance(value, Mapping):
        return value
    return {
        re.sub("_([a-z])", lambda found: found[1].upper(), name): _camel(one)
        for name, one in cast(Json, value).items()
        if one is not None
    }


def _span(told: ForeignRecord) -> Span:
    flat = told.flat()
    trace, name = flat.text("context.trace_id"), flat.text("context.span_id")
    start = flat.moment("start_time")
    if trace is None or name is None or start is None:
        raise told.missing("context.trace_id, context.span_id or start_time")
    head = "attributes."
    found = {key.removeprefix(head): value for key, value in flat.fields.items()}
    # The kind is a column of its own, and not always an attribute too.
    found.setdefault("openinference.span.kind", flat.text("span_kind"))
    attributes = ForeignRecord(told.file, f"{told.path}.attributes", found)
    asked = asked_of(attributes, start)
    parent = flat.text("parent_id")
    failed = (flat.text("status_code") or "").upper() == "ERROR"
    return Span(
        id=name,
        trace=trace,
        parent=parent,
        start=start,
        end=flat.moment("end_time"),
        where=f"{told.file}{told.where}",
        asked=asked if asked is None else _streamed(asked, told),
        teller=flat.text("name"),  # OpenInference names spans by the class or call it wraps
        workflow=workflow_of(attributes),
        workflow_guess=flat.text("name") if parent is None and asked is None else None,
        error=(flat.text("status_message") or "failed") if failed else None,
    )


def _streamed(asked: LlmRequest, told: ForeignRecord) -> LlmRequest:
    """The instrumentors mark the first token of a stream by an event."""
    if not isinstance(told.fields.get("events"), list):
        return asked
    for event in told.parts("events"):
        if event.text("name") in FIRST_TOKEN:
            return replace(asked, stream=True, first_token=event.moment("timestamp"))
    return asked
