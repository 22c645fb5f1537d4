"""Runs as LangSmith exports them: one object a line, a list, or `{"runs": [...]}`.

Fields by docs.langchain.com/langsmith/run-data-format: `run_type` "llm" (or "embedding") for LLM
calls, `trace_id`, `parent_run_id`, `dotted_order`, `prompt_tokens`, `first_token_time`,
`extra.metadata.ls_model_name`. Bulk exports are Parquet with the same columns: convert them first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert.part import ForeignRecord, known
from scepsy.convert.span import LlmRequest, Span
from scepsy.core.trace import Endpoint

_CALLS: dict[str, Endpoint] = {"llm": "chat", "embedding": "embeddings"}


def recognises(part: ForeignRecord) -> bool:
    if part.has("runs"):
        return any(recognises(one) for one in part.parts("runs"))
    return part.has("run_type", "id", "start_time")


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    for part in parts:
        for one in part.parts("runs") if part.has("runs") else (part,):
            yield from _with_children(one)


def _with_children(told: ForeignRecord) -> Iterator[Span]:
    yield _span(told)
    for child in told.parts("child_runs"):
        yield from _with_children(child)


def _span(told: ForeignRecord) -> Span:
    name, start = told.text("id"), told.moment("start_time")
    if name is None or start is None:
        raise told.missing("id or start_time")
    kind = told.text("run_type") or ""
    above = [step.split("Z", 1)[-1] for step in (told.text("dotted_order") or "").split(".")]
    parent = told.text("parent_run_id") or (above[-2] if len(above) > 1 else None)
    root = above[0] if above[0] else None
    return Span(
        id=name,
        trace=told.text("trace_id") or root or name,
        parent=parent,
        start=start,
        end=told.moment("end_time"),
        where=f"{told.file}{told.where}",
        asked=_asked(told, _CALLS[kind]) if kind in _CALLS else None,
        workflow_guess=told.text("name") if parent is None and kind not in _CALLS else None,
        error=told.text("error") or ("failed" if told.text("status") == "error" else None),
    )


def _asked(told: ForeignRecord, endpoint: Endpoint) -> LlmRequest:
    extra = told.part("extra")
    metadata, parameters = extra.part("metadata"), extra.part("invocation_params")
    usage = _usage(told, metadata)
    details = told.part("prompt_token_details")
    first = told.moment("first_token_time")
    return LlmRequest(
        llm=metadata.text("ls_model_name") or parameters.text("model", "model_name"),
        endpoint=endpoint,
        prompt_tokens=known(told.count("prompt_tokens"), usage.count("input_tokens")),
        cached_tokens=known(
            details.count("cache_read"), usage.part("input_token_details").count("cache_read")
        ),
        output_tokens=known(told.count("completion_tokens"), usage.count("output_tokens")),
        max_tokens=known(
            parameters.count("max_tokens", "max_completion_tokens"),
            metadata.count("ls_max_tokens"),
        ),
        stream=first is not None,
        first_token=first,
    )


def _usage(told: ForeignRecord, metadata: ForeignRecord) -> ForeignRecord:
    """`usage_metadata`, which integrations put beside the metadata or into the answer. What else
    an answer holds, and how, is not our business.
    """
    answer = told.fields.get("outputs")
    if metadata.has("usage_metadata") or not isinstance(answer, dict):
        return metadata.part("usage_metadata")
    return told.part("outputs").part("usage_metadata")
