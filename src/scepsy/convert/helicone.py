"""Requests as Helicone's API returns them (`POST /v1/request/query`, `GET /v1/request/{id}`).

Fields by docs.helicone.ai/rest/request, `HeliconeRequest`: `request_created_at`, `delay_ms`,
`prompt_tokens`, `completion_tokens`, `response_status`; `request_properties` has the headers
`Helicone-Session-Id`, `-Name` and `-Path`, which tie the requests of a session together. Without
them each request is a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert.foreign_record import ForeignRecord, each
from scepsy.convert.roles import role
from scepsy.convert.span import LlmRequest, Span
from scepsy.core.trace import Endpoint


def recognises(part: ForeignRecord) -> bool:
    return part.has("request_id", "request_created_at") and any(
        name in part.fields for name in ("delay_ms", "response_created_at", "response_status")
    )


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _span)


def _span(record: ForeignRecord) -> Iterator[Span]:
    name, start = record.text("request_id"), record.moment("request_created_at")
    if name is None or start is None:
        raise record.missing("request_id", "request_created_at")
    properties = record.part("request_properties", "properties")
    tags = record.with_fields(
        properties.where, {k.lower(): v for k, v in properties.fields.items()}
    )
    took = record.milliseconds("delay_ms")
    end = record.moment("response_created_at") if took is None else start + took
    path = (record.text("request_path", "target_url") or "").split("?", 1)[0]
    found = role(path.rsplit("/v1/", 1)[-1])
    endpoint = "chat" if found is None else found.endpoint
    yield Span(
        id=name,
        trace=tags.text("helicone-session-id") or name,
        start=start,
        end=end,
        where=record.place,
        request=None if endpoint is None else _request(record, endpoint, start),
        kind="other" if found is None else found.kind,
        workflow=tags.text("helicone-session-name"),
        error=_error(record),
    )


def _request(record: ForeignRecord, endpoint: Endpoint, start: float) -> LlmRequest:
    wait = record.milliseconds("time_to_first_token")
    sent = record.part("request_body")
    return LlmRequest(
        llm=record.text("request_model", "model", "response_model", "model_override"),
        endpoint=endpoint,
        prompt_tokens=record.count("prompt_tokens"),
        cached_tokens=record.count("prompt_cache_read_tokens"),
        output_tokens=record.count("completion_tokens"),
        max_tokens=sent.count("max_tokens", "max_completion_tokens", "max_output_tokens"),
        stream=sent.true("stream"),
        first_token=None if wait is None or not wait else start + wait,
    )


def _error(record: ForeignRecord) -> str | None:
    status = record.number("response_status")
    if status is None or 200 <= status < 300:
        return None
    return f"status {status:.0f}"
