"""Runs as LangSmith exports them: one object a line, a list, or `{"runs": [...]}`.

Fields by docs.langchain.com/langsmith/run-data-format: `run_type` "llm" (or "embedding") for LLM
calls, `trace_id`, `parent_run_id`, `dotted_order`, `prompt_tokens`, `first_token_time`,
`extra.metadata.ls_model_name`. Bulk exports are Parquet with the same columns: convert them first.
Old runs have zero for the tokens that their provider told elsewhere: `outputs.llm_output`, the
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


def _with_children(told: ForeignRecord) -> Iterator[Span]:
    yield from each([told], lambda one: [_span(one)])
    for child in told.parts("child_runs"):
        yield from _with_children(child)


def _span(told: ForeignRecord) -> Span:
    name, start = told.text("id"), told.moment(*_START)
    if name is None or start is None:
        raise told.missing("id", "start_time")
    found = role(told.text("run_type"))
    endpoint = None if found is None else found.endpoint
    above = [step.split("Z", 1)[-1] for step in (told.text("dotted_order") or "").split(".")]
    parent = told.text("parent_run_id") or (above[-2] if len(above) > 1 else None)
    root = above[0] if above[0] else None
    error = told.text("error")
    failed = (told.text("status") or "").lower() in ("error", "failed", "interrupted")
    return Span(
        id=name,
        trace=told.text("trace_id") or root or name,
        parent=parent,
        start=start,
        end=told.moment(*_END),
        where=told.place,
        asked=None if endpoint is None else _asked(told, endpoint),
        what="other" if found is None else found.kind,
        workflow_guess=told.text("name") if parent is None and endpoint is None else None,
        error=error or ("failed" if failed else None),
    )


def _asked(told: ForeignRecord, endpoint: Endpoint) -> LlmRequest:
    extra = told.part("extra")
    metadata, parameters = extra.part("metadata"), extra.part("invocation_params")
    usage = _usage(told, metadata)
    answered = told.part("outputs").part("llm_output")
    first = told.moment("first_token_time") or _first_chunk(told)
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


def _first_chunk(told: ForeignRecord) -> float | None:
    """When the first token came, by the events of LangChain's callbacks."""
    chunks = (one for one in told.parts("events") if one.text("name") == "new_token")
    first = next(chunks, None)
    return None if first is None else first.moment("time")


def _usage(told: ForeignRecord, metadata: ForeignRecord) -> TokenUsage:
    """The run's own counts, where it has any; else what the metadata or the answer tell."""
    found = [usage_of(told), usage_of(metadata.part("usage_metadata"))]
    if not all(one.told for one in found[:1]):
        found += [
            usage for one in _usages(told.part("outputs"), 0) if (usage := usage_of(one)).told
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
