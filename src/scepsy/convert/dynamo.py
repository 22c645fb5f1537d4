"""Request traces of NVIDIA Dynamo: `DYN_REQUEST_TRACE=1`, one record a line, often gzipped.

Schema `dynamo.request.trace.v1` (its forerunner `dynamo.agent.trace.v1`), by
docs.nvidia.com/dynamo, reference "request traces": `request_end` records with `agent_context` and
`request`, tool records beside them; file sinks wrap each as `{"timestamp", "event"}`. A sub-agent
has a session of its own with a `parent_session_id`; its calls belong to the run of its oldest
ancestor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from scepsy.convert.foreign_record import ForeignRecord, each, known
from scepsy.convert.span import LlmRequest, Span

_SCHEMAS = ("dynamo.request.trace.v1", "dynamo.agent.trace.v1")


def recognises(part: ForeignRecord) -> bool:
    event = part.fields.get("event")
    record = part.part("event") if isinstance(event, dict) else part
    return record.fields.get("schema") in _SCHEMAS


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    parents: dict[str, str] = {}
    found = list(each(parts, lambda part: _event(part, parents)))
    for span in found:
        yield replace(span, trace=_oldest(span.trace, parents))


def _event(part: ForeignRecord, parents: dict[str, str]) -> Iterator[Span]:
    event = part.part("event") if part.has("event") else part
    context = event.part("agent_context")
    session, parent = context.text("session_id"), context.text("parent_session_id")
    if session is not None and parent is not None:
        parents[session] = parent
    kind = event.text("event_type")
    if kind == "request_end":
        yield _request(event, session, context)
    elif kind in ("tool_end", "tool_error") and session is not None:
        yield from _tool(event, session)


def _oldest(session: str, parents: dict[str, str]) -> str:
    passed = {session}
    while session in parents and parents[session] not in passed:
        session = parents[session]
        passed.add(session)
    return session


def _request(event: ForeignRecord, session: str | None, context: ForeignRecord) -> Span:
    request = event.part("request")
    name = request.text("request_id")
    if name is None:
        raise request.missing("request_id")
    wait = request.number("ttft_ms")
    start, end = _times(event, request)
    return Span(
        id=name,
        trace=session or name,
        start=start,
        end=end,
        where=event.place,
        request=LlmRequest(
            llm=request.text("model"),
            prompt_tokens=known(
                request.count("input_tokens"), request.part("replay").count("input_length")
            ),
            cached_tokens=request.count("cached_tokens"),
            output_tokens=request.count("output_tokens"),
            first_token=None if wait is None or start == end else start + wait / 1000,
        ),
        workflow=context.text("session_type_id", "workflow_type_id"),
    )


def _times(event: ForeignRecord, request: ForeignRecord) -> tuple[float, float]:
    """Start and end; equal where the record has no duration."""
    begun, took = request.milliseconds("request_received_ms"), request.number("total_time_ms")
    ended = event.milliseconds("event_time_unix_ms")
    if begun is not None and took is not None:
        return begun, begun + took / 1000
    if ended is None:
        if begun is None:
            raise event.missing("event_time_unix_ms")
        return begun, begun
    if begun is None:
        begun = ended if took is None else ended - took / 1000
    return min(begun, ended), ended


def _tool(event: ForeignRecord, session: str) -> Iterator[Span]:
    tool = event.part("tool")
    name = tool.text("tool_call_id")
    start, end = tool.milliseconds("started_at_unix_ms"), tool.milliseconds("ended_at_unix_ms")
    if name is not None and start is not None and end is not None:
        # That a tool failed is part of an agent's work, and no failure of its run.
        yield Span(
            id=f"tool:{name}",
            trace=session,
            start=start,
            end=end,
            where=event.place,
            parent=name,
            kind="tool call",
        )
