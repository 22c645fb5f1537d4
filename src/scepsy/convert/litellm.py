"""Logs of LiteLLM: `StandardLoggingPayload` objects and rows of the table `LiteLLM_SpendLogs`.

Fields by docs.litellm.ai/docs/proxy/logging_spec (`id`, `trace_id`, `call_type`, `startTime` and
`endTime` in Unix seconds) and `SpendLogsPayload` in github BerriAI/litellm,
litellm/proxy/_types.py (`request_id`, `session_id`, dates). What was cached stands in
`metadata.usage_object`. An answer from LiteLLM's own cache is no call of an LLM.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert.foreign_record import ForeignRecord, each
from scepsy.convert.roles import role
from scepsy.convert.span import LlmRequest, Span
from scepsy.convert.usage import usage_of
from scepsy.core.trace import Endpoint

_CACHED_ANSWER = "answer from a cache"


def recognises(part: ForeignRecord) -> bool:
    named = part.has("call_type", "startTime", "endTime", "model")
    return named and any(name in part.fields for name in ("id", "request_id", "litellm_call_id"))


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _span)


def _span(told: ForeignRecord) -> Iterator[Span]:
    name, start = told.text("id", "request_id", "litellm_call_id"), told.moment("startTime")
    if name is None or start is None:
        raise told.missing("id", "startTime")
    metadata = told.part("metadata")
    found = role(told.text("call_type"))
    endpoint = "chat" if found is None else found.endpoint
    cached = told.true("cache_hit")
    asked = None if endpoint is None or cached else _asked(told, metadata, endpoint)
    yield Span(
        id=name,
        trace=told.text("trace_id", "session_id") or name,
        start=start,
        end=told.moment("endTime"),
        where=told.place,
        asked=asked,
        what=_CACHED_ANSWER if cached else "other" if found is None else found.kind,
        error=_error(told, metadata),
    )


def _asked(told: ForeignRecord, metadata: ForeignRecord, endpoint: Endpoint) -> LlmRequest:
    usage = usage_of(metadata.part("usage_object"))
    sent = told.part("model_parameters")
    first, end = told.moment("completionStartTime"), told.moment("endTime")
    streams = told.true("stream") or sent.true("stream")
    return LlmRequest(
        llm=told.text("model", "model_group"),
        endpoint=endpoint,
        prompt_tokens=told.count("prompt_tokens"),
        cached_tokens=usage.cached,
        output_tokens=told.count("completion_tokens"),
        max_tokens=sent.count("max_tokens", "max_completion_tokens", "max_output_tokens"),
        stream=streams,
        first_token=None if first == end else first,  # of a call that does not stream: its end
    )


def _error(told: ForeignRecord, metadata: ForeignRecord) -> str | None:
    status = told.text("status") or metadata.text("status")
    if status not in ("failure", "error") and not told.text("error_str"):
        return None
    details = told.part("error_information")
    if not details.fields:
        details = metadata.part("error_information")
    message = told.text("error_str") or details.text("error_message", "error_class", "error_code")
    return message or "failed"
