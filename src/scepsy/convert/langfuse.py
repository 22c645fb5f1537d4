"""Observations as Langfuse exports them: blob storage (snake_case), API and user interface
(camelCase).

Fields by langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields: one row per
observation, `type` GENERATION or EMBEDDING for LLM calls. In `usage_details` what was cached stands
beside `input`, not inside it: the prompt is the sum of all whose name begins with "input" (so does
Langfuse itself add up) and of Anthropic's two counts for the cache.

The SDK (seen: 5.0.4) sends the same as OTLP attributes `langfuse.observation.*`, objects as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert.part import ForeignRecord
from scepsy.convert.span import LlmRequest, Span
from scepsy.core.trace import Endpoint

_CALLS: dict[str, Endpoint] = {"GENERATION": "chat", "EMBEDDING": "embeddings"}
_CACHED = (
    "input_cached_tokens",
    "input_cache_read",
    "cache_read_input_tokens",
    "input_cached",
)
_SDK = "langfuse.observation."
_ANTHROPIC = ("cache_read_input_tokens", "cache_creation_input_tokens")


def recognises(part: ForeignRecord) -> bool:
    for inside in ("observations", "data"):
        if isinstance(part.fields.get(inside), list):
            return any(recognises(one) for one in part.parts(inside))
    traced = part.has("trace_id") or part.has("traceId")
    parent = part.has("parent_observation_id") or part.has("parentObservationId")
    return part.has("id", "type") and traced and parent


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    for part in parts:
        if part.has("observations"):
            for one in part.parts("observations"):
                yield _span(one, part.text("name"))
        else:
            for one in part.parts("data") if part.has("data") else (part,):
                yield _span(one, None)


def _span(told: ForeignRecord, trace_name: str | None) -> Span:
    name, trace = told.text("id"), told.text("trace_id", "traceId")
    start = told.moment("start_time", "startTime")
    if name is None or trace is None or start is None:
        raise told.missing("id, trace_id or start_time")
    kind = (told.text("type") or "").upper()
    parent = told.text("parent_observation_id", "parentObservationId")
    failed = told.text("level") == "ERROR"
    end = told.moment("end_time", "endTime")
    return Span(
        id=name,
        trace=trace,
        parent=parent,
        start=start,
        end=start if end is None and kind == "EVENT" else end,
        where=f"{told.file}{told.where}",
        asked=_asked(told, _CALLS[kind]) if kind in _CALLS else None,
        workflow=told.text("trace_name", "traceName") or trace_name,
        workflow_guess=told.text("name") if parent is None and kind not in _CALLS else None,
        error=(told.text("status_message", "statusMessage") or "failed") if failed else None,
    )


def _asked(told: ForeignRecord, endpoint: Endpoint) -> LlmRequest:
    usage = told.part("usage_details" if told.has("usage_details") else "usageDetails")
    parameters = told.part(
        "model_parameters" if told.has("model_parameters") else "modelParameters"
    )
    first = told.moment("completion_start_time", "completionStartTime")
    return LlmRequest(
        llm=told.text("provided_model_name", "providedModelName", "model"),
        endpoint=endpoint,
        prompt_tokens=_total(usage, "input", *_ANTHROPIC),
        cached_tokens=usage.count(*_CACHED),
        output_tokens=_total(usage, "output"),
        max_tokens=parameters.count("max_tokens", "max_completion_tokens", "maxTokens"),
        stream=first is not None,
        first_token=first,
    )


def observed(attributes: ForeignRecord) -> LlmRequest | None:
    """What the attributes of a span of Langfuse's SDK say of an LLM call; None where it is none."""
    endpoint = _CALLS.get((attributes.text(f"{_SDK}type") or "").upper())
    if endpoint is None:
        return None
    names = {"usage_details": "usage_details", "model": "model.name"}
    names["model_parameters"] = "model.parameters"
    fields = {key: attributes.fields.get(f"{_SDK}{name}") for key, name in names.items()}
    first = attributes.text(f"{_SDK}completion_start_time")
    fields["completion_start_time"] = None if first is None else first.strip('"')
    return _asked(ForeignRecord(attributes.file, attributes.where, fields), endpoint)


def _total(usage: ForeignRecord, head: str, *besides: str) -> int | None:
    names = [name for name in usage.fields if name.startswith(head) or name in besides]
    counts = [count for name in names if (count := usage.count(name)) is not None]
    return sum(counts) if counts else None
