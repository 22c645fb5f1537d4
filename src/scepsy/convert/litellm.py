"""Logs of LiteLLM: `StandardLoggingPayload` objects and rows of the table `LiteLLM_SpendLogs`.

Fields by docs.litellm.ai/docs/proxy/logging_spec (`id`, `trace_id`, `call_type`, `startTime` and
`endTime` in Unix seconds) and `SpendLogsPayload` in github BerriAI/litellm,
litellm/proxy/_types.py (`request_id`, `session_id`, dates). What was cached stands in
`metadata.usage_object`, before LiteLLM wrote that in `response.usage`; the request of a spend log
in `proxy_server_request` (the same repository, tests/logging_callback_tests/gcs_pub_sub_body). An
answer from LiteLLM's own cache is no call of an LLM.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert.foreign_record import ForeignRecord, each, known
from scepsy.convert.roles import role
from scepsy.convert.span import CACHED_ANSWER, LlmRequest, Span
from scepsy.convert.usage import usage_of
from scepsy.core.trace import Endpoint


def recognises(part: ForeignRecord) -> bool:
    named = part.has("call_type", "startTime", "endTime", "model")
    return named and any(name in part.fields for name in ("id", "request_id", "litellm_call_id"))


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _span)


def _span(record: ForeignRecord) -> Iterator[Span]:
    name, start = record.text("id", "request_id", "litellm_call_id"), record.moment("startTime")
    if name is None or start is None:
        raise record.missing("id", "startTime")
    metadata = record.part("metadata")
    found = role(record.text("call_type"))
    endpoint = "chat" if found is None else found.endpoint
    cached = record.true("cache_hit")
    request = None if endpoint is None or cached else _request(record, metadata, endpoint)
    yield Span(
        id=name,
        trace=record.text("trace_id", "session_id") or name,
        start=start,
        end=record.moment("endTime"),
        where=record.place,
        request=request,
        kind=CACHED_ANSWER if cached else "other" if found is None else found.kind,
        error=_error(record, metadata),
    )


def _request(record: ForeignRecord, metadata: ForeignRecord, endpoint: Endpoint) -> LlmRequest:
    usage = usage_of(metadata.part("usage_object"))
    answered = usage_of(record.part("response").part("usage"))
    sent = record.part("model_parameters")
    if not sent.fields:
        sent = record.part("proxy_server_request")
    first, end = record.moment("completionStartTime"), record.moment("endTime")
    streams = record.true("stream") or sent.true("stream")
    return LlmRequest(
        llm=record.text("model", "model_group"),
        endpoint=endpoint,
        prompt_tokens=record.count("prompt_tokens"),
        cached_tokens=known(usage.cached, answered.cached),
        output_tokens=record.count("completion_tokens"),
        max_tokens=sent.count("max_tokens", "max_completion_tokens", "max_output_tokens"),
        stream=streams,
        first_token=None if first == end else first,  # of a call that does not stream: its end
    )


def _error(record: ForeignRecord, metadata: ForeignRecord) -> str | None:
    status = record.text("status") or metadata.text("status")
    if status not in ("failure", "error") and not record.text("error_str"):
        return None
    details = record.part("error_information")
    if not details.fields:
        details = metadata.part("error_information")
    message = record.text("error_str") or details.text("error_message", "error_class", "error_code")
    return message or "failed"
