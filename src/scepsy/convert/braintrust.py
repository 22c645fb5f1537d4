"""Rows of Braintrust's project logs and experiments: one span a row.

Fields by braintrust.dev/docs, API reference, "project logs" (`span_id`, `root_span_id`,
`span_parents`, `span_attributes` with `name` and `type`, `metrics` with `start` and `end` in Unix
seconds, `prompt_tokens`, `completion_tokens`, `prompt_cached_tokens`; `metadata.model`). Answers of
the API wrap rows as `{"events": [...]}` or `{"data": [...]}`. `metrics.time_to_first_token` is in
seconds; the SDK for Python also writes it for calls that do not stream, as their whole duration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from scepsy.convert.foreign_record import ForeignRecord, each
from scepsy.convert.roles import Role, role
from scepsy.convert.span import LlmRequest, Span
from scepsy.convert.usage import TokenUsage, usage_of
from scepsy.core.trace import Endpoint

_OTHERS = {"score": "evaluation", "task": "workflow"}
"""Types whose names mean something else elsewhere: `role` would read "score" as an endpoint."""


def recognises(part: ForeignRecord) -> bool:
    return part.has("span_id", "root_span_id") and (
        part.has("span_attributes") or part.has("metrics")
    )


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _span)


def _span(record: ForeignRecord) -> Iterator[Span]:
    about, metrics = record.part("span_attributes"), record.part("metrics")
    name, trace = record.text("span_id"), record.text("root_span_id")
    start = metrics.moment("start") or record.moment("created")
    if name is None or trace is None or start is None:
        raise record.missing("span_id", "root_span_id", "metrics.start")
    kind = (about.text("type") or "").lower()
    found = Role(None, _OTHERS[kind]) if kind in _OTHERS else role(kind)
    usage = usage_of(metrics)
    endpoint = _endpoint(found, about, usage)
    parent = _parent(record)
    yield Span(
        id=name,
        trace=trace,
        parent=parent,
        start=start,
        end=metrics.moment("end"),
        where=record.place,
        request=None if endpoint is None else _request(record, endpoint, usage, start),
        kind="other" if found is None or found.endpoint is not None else found.kind,
        workflow_guess=about.text("name") if parent is None and endpoint is None else None,
        error=_error(record),
    )


def _endpoint(found: Role | None, about: ForeignRecord, usage: TokenUsage) -> Endpoint | None:
    """The endpoint of an LLM call; its type says only that it is one, its name may say more."""
    if found is not None and found.endpoint is None:
        return None
    if found is None and not usage.known:
        return None
    named = role(about.text("name"))
    return named.endpoint if named is not None and named.endpoint is not None else "chat"


def _parent(record: ForeignRecord) -> str | None:
    value = record.fields.get("span_parents")
    parents = cast(list[object], value) if isinstance(value, list) else []
    return next((one for one in parents if isinstance(one, str)), None)


def _request(
    record: ForeignRecord, endpoint: Endpoint, usage: TokenUsage, start: float
) -> LlmRequest:
    metadata, metrics = record.part("metadata"), record.part("metrics")
    wait, end = metrics.number("time_to_first_token"), metrics.moment("end")
    streams = metadata.true("stream")
    return LlmRequest(
        llm=metadata.text("model"),
        endpoint=endpoint,
        prompt_tokens=usage.prompt,
        cached_tokens=usage.cached,
        output_tokens=usage.output,
        max_tokens=metadata.count("max_tokens", "max_completion_tokens", "max_output_tokens"),
        stream=streams,
        first_token=start + wait if streams and wait is not None and end is not None else None,
    )


def _error(record: ForeignRecord) -> str | None:
    value = record.fields.get("error")
    if isinstance(value, dict):
        return record.part("error").text("message", "name") or "failed"
    return record.text("error")
