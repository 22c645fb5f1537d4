"""TraceLab (github uw-syfi/TraceLab): rounds of coding agents, and sessions to be replayed.

A round (`round_trace*.jsonl`) has the times at which the agent got its inputs and saw its outputs.
A call is taken to begin with its last input and to end with its last output, so it includes the
time in which the agent itself prepared the call. A replay table (`session_id,
arrival_time, round_idx, prefix_len, ...`, times in ms) has lengths and waits, but no durations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert.foreign_record import ForeignRecord, each
from scepsy.convert.span import LlmRequest, Span

_INPUTS = ("user_message", "tool_result")
_OUTPUTS = ("reasoning", "text", "tool_call")


def recognises_rounds(part: ForeignRecord) -> bool:
    return part.has("session_id", "round_id", "timing_events", "model")


def rounds(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _round)


def _round(record: ForeignRecord) -> Iterator[Span]:
    session, name = record.text("session_id"), record.text("round_id")
    if session is None or name is None:
        raise record.missing("session_id", "round_id")
    events = [(one.text("event_type"), one.moment("timestamp")) for one in _events(record)]
    ins = [at for kind, at in events if kind in _INPUTS and at is not None]
    outs = [at for kind, at in events if kind in _OUTPUTS and at is not None]
    if not ins and not outs:
        raise record.missing("timing_events with the times of inputs or outputs")
    start = max(ins) if ins else min(outs)
    yield Span(
        id=name,
        trace=session,
        start=start,
        end=max([start, *outs]) if outs else None,
        where=record.place,
        request=LlmRequest(
            llm=record.text("model"),
            prompt_tokens=record.count("input_tokens_total"),
            cached_tokens=record.count("prefix_tokens"),
            output_tokens=record.count("output_tokens"),
            stream=True,
        ),
        workflow=record.text("provider"),
    )


def _events(record: ForeignRecord) -> Iterator[ForeignRecord]:
    return record.parts("timing_events")


def recognises_sessions(part: ForeignRecord) -> bool:
    return part.has("session_id", "round_idx", "prefix_len", "input_len", "tool_wait_after_ms")


def sessions(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    waited: dict[str, float] = {}
    return each(parts, lambda row: _session(row, waited))


def _session(row: ForeignRecord, waited: dict[str, float]) -> Iterator[Span]:
    """One row. `waited`: seconds that each session has spent on tools so far."""
    session, index = row.text("session_id"), row.text("round_idx")
    prefix, new = row.count("prefix_len"), row.count("input_len")
    if session is None or index is None:
        raise row.missing("session_id", "round_idx")
    at = (row.milliseconds("arrival_time") or 0.0) + waited.get(session, 0.0)
    wait = row.milliseconds("tool_wait_after_ms") or 0.0
    waited[session] = waited.get(session, 0.0) + wait
    yield Span(
        id=f"{session}/{index}",
        trace=session,
        start=at,
        end=at,
        where=row.place,
        request=LlmRequest(
            llm=None,
            prompt_tokens=None if prefix is None or new is None else prefix + new,
            cached_tokens=prefix,
            output_tokens=row.count("output_len"),
        ),
    )
