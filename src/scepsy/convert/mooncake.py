"""Mooncake traces: arrivals and lengths of single requests, or of sessions of them.

One `{"timestamp": ms, "input_length", "output_length", "hash_ids"}` a line (github
kvcache-ai/Mooncake, FAST25-release); `session_id` is an addition of Dynamo's replay. The format has
neither LLM names nor durations: the order of the calls of a session is known, their lengths in time
are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert.foreign_record import ForeignRecord
from scepsy.convert.span import LlmRequest, Span


def recognises(part: ForeignRecord) -> bool:
    lengths = part.has("input_length", "output_length") and not part.has("schema")
    return lengths and any(name in part.fields for name in ("timestamp", "hash_ids", "session_id"))


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    arrived: dict[str, float] = {}
    for number, row in enumerate(parts):
        name = row.text("request_id") or str(number)
        session = row.text("session_id") or name
        arrival = row.milliseconds("timestamp")
        later = row.milliseconds("delay", "delay_ms") or 0.0
        at = arrived.get(session, 0.0) + later if arrival is None else arrival
        arrived[session] = at
        yield Span(
            id=name,
            trace=session,
            start=at,
            end=at,
            where=row.place,
            request=LlmRequest(
                llm=None,
                prompt_tokens=row.count("input_length"),
                output_tokens=row.count("output_length"),
            ),
        )
