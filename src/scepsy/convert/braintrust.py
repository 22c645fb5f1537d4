"""Rows of Braintrust's project logs and experiments: one span a row.

Fields by braintrust.dev/docs, API reference, "project logs" (`span_id`, `root_span_id`,
`span_parents`, `span_attributes` with `name` and `type`, `metrics` with `start` and `end` in Unix
seconds, `prompt_tokens`, `completion_tokens`, `prompt_cached_tokens`; `metadata.model`). Answers of
the API wrap rows as `{"events": [...]}` or `{"data": [...]}`. `metrics.time_to_first_token` is in
seconds; the SDK for Python tells it also of calls that do not stream, where it is the whole time.
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
"""Types of spans whose names alone would tell something else of them."""


def recognises(part: ForeignRecord) -> bool:
    return part.has("span_id", "root_span_id") and (
        part.has("span_attributes") or part.has("metrics")
    )


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _span)


def _span(told: ForeignRecord) -> Iterator[Span]:
    about, metrics = told.part("span_attributes"), told.part("metrics")
    name, trace = told.text("span_id"), told.text("root_span_id")
    start = metrics.moment("start") or told.moment("created")
    if name is None or trace is None or start is None:
        raise told.missing("span_id", "root_span_id", "metrics.start")
    kind = (about.text("type") or "").lower()
    found = Role(None, _OTHERS[kind]) if kind in _OTHERS else role(kind)
    usage = usage_of(metrics)
    endpoint = _endpoint(found, about, usage)
    parent = _parent(told)
    yield Span(
        id=name,
        trace=trace,
        parent=parent,
        start=start,
        end=metrics.moment("end"),
        where=told.place,
        asked=None if endpoint is None else _asked(told, endpoint, usage, start),
        what="other" if found is None or found.endpoint is not None else found.kind,
        workflow_guess=about.text("name") if parent is None and endpoint is None else None,
        error=_error(told),
    )


def _endpoint(found: Role | None, about: ForeignRecord, usage: TokenUsage) -> Endpoint | None:
    """The endpoint of an LLM call; its type says only that it is one, its name may say more."""
    if found is not None and found.endpoint is None:
        return None
    if found is None and not usage.told:
        return None
    named = role(about.text("name"))
    return named.endpoint if named is not None and named.endpoint is not None else "chat"


def _parent(told: ForeignRecord) -> str | None:
    value = told.fields.get("span_parents")
    parents = cast(list[object], value) if isinstance(value, list) else []
    return next((one for one in parents if isinstance(one, str)), None)


def _asked(told: ForeignRecord, endpoint: Endpoint, usage: TokenUsage, start: float) -> LlmRequest:
    metadata, metrics = told.part("metadata"), told.part("metrics")
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


def _error(told: ForeignRecord) -> str | None:
    value = told.fields.get("error")
    if isinstance(value, dict):
        return told.part("error").text("message", "name") or "failed"
    return told.text("error")
