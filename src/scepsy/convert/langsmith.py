"""Runs as LangSmith exports them: one object a line, a list, or `{"runs": [...]}`.

Fields by docs.langchain.com/langsmith/run-data-format: `run_type` "llm" (or "embedding") for LLM
calls, `trace_id`, `parent_run_id`, `dotted_order`, `prompt_tokens`, `first_token_time`,
`extra.metadata.ls_model_name`. Bulk exports are Parquet with the same columns: convert them first.
Old runs have zero tokens where their provider reported them elsewhere: `outputs.llm_output`, the
message's `usage_metadata`, or the answer itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from scepsy.convert.foreign_record import ForeignRecord, Json, each, known
from scepsy.convert.roles import role
from scepsy.convert.span import LlmRequest, Span
from scepsy.convert.usage import TokenUsage, usage_of
from scepsy.core.trace import Endpoint

_START = ("start_time", "startTime")
_END = ("end_time", "endTime")
_USAGES = (
    "usage_metadata",
    "usage",
    "token_usage",
    "tokenUsage",
    "usageMetadata",
    "estimatedTokenUsage",
    "estimatedTokens",
)
_DEPTH_MAX = 8
"""Levels of an answer that are searched: `outputs.generations[0][0].message.kwargs...` has six."""


def recognises(part: ForeignRecord) -> bool:
    return part.has("run_type", "id") and any(name in part.fields for name in _START)


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _with_children)


def _with_children(record: ForeignRecord) -> Iterator[Span]:
    yield from each([record], lambda one: [_span(one)])
    for child in record.parts("child_runs"):
        yield from _with_children(child)


def _span(record: ForeignRecord) -> Span:
    name, start = record.text("id"), record.moment(*_START)
    if name is None or start is None:
        raise record.missing("id", "start_time")
    found = role(record.text("run_type"))
    endpoint = None if found is None else found.endpoint
    above = [step.split("Z", 1)[-1] for step in (record.text("dotted_order") or "").split(".")]
    parent = record.text("parent_run_id") or (above[-2] if len(above) > 1 else None)
    root = above[0] if above[0] else None
    error = record.text("error")
    failed = (record.text("status") or "").lower() in ("error", "failed", "interrupted")
    return Span(
        id=name,
        trace=record.text("trace_id") or root or name,
        parent=parent,
        start=start,
        end=record.moment(*_END),
        where=record.place,
        request=None if endpoint is None else _request(record, endpoint),
        kind="other" if found is None else found.kind,
        workflow_guess=record.text("name") if parent is None and endpoint is None else None,
        error=error or ("failed" if failed else None),
    )


def _request(record: ForeignRecord, endpoint: Endpoint) -> LlmRequest:
    extra = record.part("extra")
    metadata, parameters = extra.part("metadata"), extra.part("invocation_params")
    usage = _usage(record, metadata)
    answered = record.part("outputs").part("llm_output")
    first = record.moment("first_token_time") or _first_chunk(record)
    return LlmRequest(
        llm=metadata.text("ls_model_name")
        or parameters.text("model", "model_name", "model_id")
        or answered.text("model_name", "model"),
        endpoint=endpoint,
        prompt_tokens=usage.prompt,
        cached_tokens=usage.cached,
        output_tokens=usage.output,
        max_tokens=known(
            parameters.count("max_tokens", "max_completion_tokens"),
            metadata.count("ls_max_tokens"),
        ),
        stream=first is not None or parameters.true("stream", "streaming"),
        first_token=first,
    )


def _first_chunk(record: ForeignRecord) -> float | None:
    """When the first token came, by the events of LangChain's callbacks."""
    chunks = (one for one in record.parts("events") if one.text("name") == "new_token")
    first = next(chunks, None)
    return None if first is None else first.moment("time")


def _usage(record: ForeignRecord, metadata: ForeignRecord) -> TokenUsage:
    """The run's own counts, where it has any; else what the metadata or the answer contain."""
    found = [usage_of(record), usage_of(metadata.part("usage_metadata"))]
    if not all(one.known for one in found[:1]):
        found += [
            usage for one in _usages(record.part("outputs"), 0) if (usage := usage_of(one)).known
        ]
    return TokenUsage(
        prompt=known(*(one.prompt for one in found)),
        cached=known(*(one.cached for one in found)),
        output=known(*(one.output for one in found)),
    )


def _usages(answer: ForeignRecord, depth: int) -> Iterator[ForeignRecord]:
    """The objects of usage inside an answer, the outermost first."""
    for name in _USAGES:
        if isinstance(answer.fields.get(name), dict):
            yield answer.part(name)
    for name, value in answer.fields.items() if depth < _DEPTH_MAX else ():
        inner: list[object] = [value]
        while inner:
            one = inner.pop(0)
            if isinstance(one, list):
                inner += one[:1]
            elif isinstance(one, dict) and name not in _USAGES:
                yield from _usages(
                    answer.with_fields(f"{answer.path}.{name}", cast(Json, one)), depth + 1
                )
