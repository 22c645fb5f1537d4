"""Spans of Datadog LLM Observability: answers of its export API, and the payload of its SDKs.

Fields by docs.datadoghq.com/llm_observability: "Export API" (`span_kind`, `model_name`, `metrics`,
`start_ns` beside the ids) and "HTTP API" (`meta.kind`, `meta.model_name`; dd-trace-py writes
`meta["span.kind"]`). `duration` is in nanoseconds; `start_ns` is, too, but the documented answer
has milliseconds there, so its unit is recognised by its size. The TypeScript client writes
camelCase. Cached tokens are part of the input tokens. LiteLLM sends such spans, too (github
BerriAI/litellm, litellm/integrations/datadog/datadog_llm_obs.py): the name of the LLM, whether it
streamed and whether the answer came from a cache stand in `meta.metadata`, and the "time to first
token" of a call that does not stream is its duration.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from scepsy.convert.foreign_record import ForeignRecord, each
from scepsy.convert.instants import NANO
from scepsy.convert.roles import Role, role
from scepsy.convert.span import CACHED_ANSWER, LlmRequest, Span
from scepsy.core.trace import Endpoint

_TRACE, _SPAN, _START = ("trace_id", "traceId"), ("span_id", "spanId"), ("start_ns", "startNs")
_OTHERS = {"task": "workflow", "experiment": "evaluation"}
"""Kinds that `role` does not know by their names."""
_EQUAL = 1e-6
"""Seconds by which equal times may differ where they were rounded differently."""


def recognises(part: ForeignRecord) -> bool:
    named = all(any(name in part.fields for name in names) for names in (_TRACE, _SPAN, _START))
    return named and _kind(part) is not None


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _span)


def _kind(record: ForeignRecord) -> str | None:
    meta = record.part("meta").flat()
    return record.text("span_kind", "spanKind") or meta.text("kind", "span.kind")


def _span(record: ForeignRecord) -> Iterator[Span]:
    trace, name, start = record.text(*_TRACE), record.text(*_SPAN), record.moment(*_START)
    if trace is None or name is None or start is None:
        raise record.missing("trace_id", "span_id", "start_ns")
    took = record.number("duration")
    end = None if took is None else start + took / NANO
    kind = (_kind(record) or "").lower()
    found = Role(None, _OTHERS[kind]) if kind in _OTHERS else role(kind)
    endpoint = None if found is None else found.endpoint
    cached = record.part("meta").part("metadata").true("cache_hit")
    parent = record.text("parent_id", "parentId")
    parent = None if parent in ("undefined", "0") else parent
    title = record.text("name") if parent is None and endpoint is None else None
    yield Span(
        id=name,
        trace=trace,
        parent=parent,
        start=start,
        end=end,
        where=record.place,
        request=None if endpoint is None or cached else _request(record, endpoint, start),
        kind=CACHED_ANSWER if cached else "other" if found is None else found.kind,
        workflow_guess=title or record.text("ml_app", "mlApp"),
        error=_error(record),
    )


def _request(record: ForeignRecord, endpoint: Endpoint, start: float) -> LlmRequest:
    meta, metrics = record.part("meta"), record.part("metrics")
    settings = (
        record.part("metadata"),
        meta.part("metadata"),
        meta.part("input").part("parameters"),
    )
    wait = metrics.number("time_to_first_token")  # seconds
    limits = [
        one.count("max_tokens", "max_completion_tokens", "max_output_tokens") for one in settings
    ]
    names = [one.text("model_name", "modelName") for one in (record, meta, meta.part("metadata"))]
    asked = any(one.true("stream", "is_streamed_request") for one in settings)
    whole = wait is not None and wait >= (record.number("duration") or math.inf) / NANO - _EQUAL
    streams = asked or (wait is not None and not whole)
    return LlmRequest(
        llm=next((name for name in names if name is not None), None),
        endpoint=endpoint,
        prompt_tokens=metrics.count("input_tokens", "prompt_tokens"),
        cached_tokens=metrics.count("cache_read_input_tokens"),
        output_tokens=metrics.count("output_tokens", "completion_tokens"),
        max_tokens=next((limit for limit in limits if limit is not None), None),
        stream=streams,
        first_token=start + wait if wait is not None and streams else None,
    )


def _error(record: ForeignRecord) -> str | None:
    meta = record.part("meta").flat()
    message = meta.text("error.message", "error.type")
    failed = (record.text("status") or "").lower() == "error" or record.fields.get("error") == 1
    return message or ("failed" if failed else None)
