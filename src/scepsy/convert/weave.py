"""Calls of Weights & Biases Weave: `calls/stream_query` as JSON lines, or a list of `CallSchema`.

Fields by docs.wandb.ai/weave/guides/tracking/call-schema-reference: `op_name` (a reference
"weave:///team/project/op/NAME:digest"), `started_at`, `summary.usage` with token counts by model.
Weave adds the usage of calls to that of the call around them: so an LLM call is a call with usage
that no other call with usage is inside of. The TypeScript SDK writes camelCase.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert.foreign_record import ForeignRecord, each
from scepsy.convert.roles import Role, role
from scepsy.convert.span import LlmRequest, Span
from scepsy.convert.usage import usage_of

_OP, _TRACE, _START = ("op_name", "opName"), ("trace_id", "traceId"), ("started_at", "startedAt")


def recognises(part: ForeignRecord) -> bool:
    named = all(any(name in part.fields for name in names) for names in (_OP, _TRACE, _START))
    return named and part.has("id")


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _span)


def _span(record: ForeignRecord) -> Iterator[Span]:
    name, trace, start = record.text("id"), record.text(*_TRACE), record.moment(*_START)
    if name is None or trace is None or start is None:
        raise record.missing("id", "trace_id", "started_at")
    op = _plain(record.text(*_OP) or "")
    found = role(op)
    calls_llm = found is not None and found.endpoint is not None
    parent = record.text("parent_id", "parentId")
    title = record.text("display_name", "displayName") or op
    yield Span(
        id=name,
        trace=trace,
        parent=parent,
        start=start,
        end=record.moment("ended_at", "endedAt"),
        where=record.place,
        request=_request(record, found),
        kind="other" if found is None or calls_llm else found.kind,
        workflow_guess=title if parent is None and not calls_llm else None,
        error=record.text("exception"),
    )


def _plain(op: str) -> str:
    """NAME of a reference to an operation."""
    return op.rsplit("/", 1)[-1].split(":", 1)[0] if op.startswith("weave:///") else op


def _request(record: ForeignRecord, found: Role | None) -> LlmRequest | None:
    """The LLM request, if the call has token counts or is of an LLM client; None otherwise."""
    inputs = record.part("inputs")
    by_model = record.part("summary").part("usage")
    used = list(by_model.named_parts())
    endpoint = None if found is None else found.endpoint
    llm = inputs.text("model", "model_name")
    if not used and (endpoint is None or llm is None):
        return None
    if len(used) > 1:
        by_model.findings.doubt("usage of several LLMs: counted as the first", by_model.place)
    usage = usage_of(used[0][1]) if used else None
    return LlmRequest(
        llm=used[0][0] if used else llm,
        endpoint=endpoint or "chat",
        prompt_tokens=None if usage is None else usage.prompt,
        cached_tokens=None if usage is None else usage.cached,
        output_tokens=None if usage is None else usage.output,
        max_tokens=inputs.count("max_tokens", "max_completion_tokens", "max_output_tokens"),
        stream=inputs.true("stream"),
        weak=True,
    )
