"""Observations as Langfuse exports them: blob storage (snake_case), API and user interface
(camelCase), of versions 2 to 4.

Fields by langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields: one row per
observation, `type` GENERATION or EMBEDDING for LLM calls. In `usage_details` what was cached stands
beside `input`, not inside it: the prompt is the sum of all whose name begins with "input" (so does
Langfuse itself add up) and of Anthropic's two counts for the cache; programs that pass on their
provider's usage have its keys there. Version 2 says `usage`, with a `unit` that need not be
tokens, and `promptTokens`, which are 0 where nobody record them.

The SDK sends the same as OTLP attributes `langfuse.observation.*`: see `attributes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert.foreign_record import ForeignRecord, each, known
from scepsy.convert.roles import role
from scepsy.convert.span import LlmRequest, Span
from scepsy.convert.usage import TokenUsage, usage_of
from scepsy.core.trace import Endpoint

_TYPES = frozenset((
    "SPAN", "EVENT", "GENERATION", "EMBEDDING", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR",
    "GUARDRAIL",
))  # fmt: skip
_START = ("start_time", "startTime")
_TRACE = ("trace_id", "traceId")


def recognises(part: ForeignRecord) -> bool:
    if isinstance(part.fields.get("observations"), list):
        return any(_is_one(one) for one in part.parts("observations"))
    return _is_one(part)


def _is_one(part: ForeignRecord) -> bool:
    kind = part.fields.get("type")
    if isinstance(kind, str) and kind.upper() not in _TYPES:
        return False
    parent = part.has("parent_observation_id") or part.has("parentObservationId")
    traced = any(name in part.fields for name in _TRACE)
    timed = any(name in part.fields for name in _START)
    typed = isinstance(kind, str) and (timed or traced)
    return part.has("id") and traced and (parent or (typed and timed)) and (typed or parent)


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _trace)


def _trace(part: ForeignRecord) -> Iterator[Span]:
    if not part.has("observations"):
        yield _span(part, None, None)
        return
    name, trace = part.text("name"), part.text("id")
    yield from each(part.parts("observations"), lambda one: [_span(one, name, trace)])


def _span(record: ForeignRecord, trace_name: str | None, trace_id: str | None) -> Span:
    name, trace = record.text("id"), record.text(*_TRACE) or trace_id
    start = record.moment(*_START)
    if name is None or trace is None or start is None:
        raise record.missing("id", "trace_id", "start_time")
    kind = (record.text("type") or "").upper()
    parent = record.text("parent_observation_id", "parentObservationId")
    end = record.moment("end_time", "endTime")
    found = role(kind)
    endpoint = None if found is None else found.endpoint
    failed = (record.text("level") or "").upper() == "ERROR"
    return Span(
        id=name,
        trace=trace,
        parent=parent,
        start=start,
        end=start if end is None and kind == "EVENT" else end,
        where=record.place,
        request=None if endpoint is None else _request(record, endpoint),
        kind="other" if found is None else found.kind,
        workflow=record.text("trace_name", "traceName") or trace_name,
        workflow_guess=record.text("name") if parent is None and endpoint is None else None,
        error=(record.text("status_message", "statusMessage") or "failed") if failed else None,
    )


def _request(record: ForeignRecord, endpoint: Endpoint) -> LlmRequest:
    usage = _usage(record)
    parameters = record.part("model_parameters", "modelParameters")
    first = record.moment("completion_start_time", "completionStartTime")
    return LlmRequest(
        llm=record.text("provided_model_name", "providedModelName", "model")
        or parameters.text("model", "model_name"),
        endpoint=endpoint,
        prompt_tokens=usage.prompt,
        cached_tokens=usage.cached,
        output_tokens=usage.output,
        max_tokens=parameters.count("max_tokens", "max_completion_tokens", "maxTokens"),
        stream=first is not None,
        first_token=first,
    )


def _usage(record: ForeignRecord) -> TokenUsage:
    """For each count, the first that is not zero in any of the places for usage."""
    found = [
        usage_of(record.part(name))
        for name in ("usage_details", "usageDetails", "usage")
        if record.fields.get(name)
    ]
    if not _in_other_units(record):
        flat = (
            ("promptTokens", "inputTokens", "inputUsage"),
            (
                "completionTokens",
                "outputTokens",
                "outputUsage",
            ),
        )
        found.append(TokenUsage(prompt=record.count(*flat[0]), output=record.count(*flat[1])))
    return TokenUsage(
        prompt=known(*(one.prompt for one in found)),
        cached=known(*(one.cached for one in found)),
        output=known(*(one.output for one in found)),
    )


def _in_other_units(record: ForeignRecord) -> bool:
    """Whether version 2 counted characters or seconds: then its "tokens" are those."""
    unit = record.fields.get("unit") or record.part("usage").fields.get("unit")
    return isinstance(unit, str) and unit.upper() != "TOKENS"
