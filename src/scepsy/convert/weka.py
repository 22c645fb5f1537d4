"""Sessions of Claude Code as a table: one row per call, with the agent that made it.

Columns of `shared/data/agentic_coding_weka/requests.csv.gz`, which was derived from the traces of
github callanjfox/kv-cache-tester (WEKA; Apache-2.0). Times are seconds since the session began.
About a tenth of the calls have tokens but no duration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.convert.foreign_record import ForeignRecord, each
from scepsy.convert.span import LlmRequest, Span


def recognises(part: ForeignRecord) -> bool:
    return part.has("trace_id", "agent", "idx", "t_s", "api_time_s", "model")


def spans(parts: Iterable[ForeignRecord]) -> Iterator[Span]:
    return each(parts, _span)


def _span(row: ForeignRecord) -> Iterator[Span]:
    session, agent, index = row.text("trace_id"), row.text("agent"), row.text("idx")
    start, took = row.number("t_s"), row.number("api_time_s")
    if session is None or agent is None or index is None or start is None:
        raise row.missing("trace_id", "agent", "idx", "t_s")
    wait = row.number("ttft_s")
    yield Span(
        id=f"{session}/{agent}/{index}",
        trace=session,
        start=start,
        end=start + (took or 0.0),
        where=row.place,
        request=LlmRequest(
            llm=row.text("model"),
            prompt_tokens=row.count("input_tokens"),
            cached_tokens=row.count("cached_prefix_tokens"),
            output_tokens=row.count("output_tokens"),
            stream=row.text("type") == "s",
            first_token=None if wait is None else start + wait,
        ),
        workflow="claude-code",
    )
