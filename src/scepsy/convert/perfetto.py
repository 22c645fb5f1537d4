"""Traces -> events of the Chrome trace format, which ui.perfetto.dev and chrome://tracing display.

Complete events (`ph` X) with times in microseconds: one process per run, and one thread for each
call of the run that ran at the same time ("Trace Event Format", the specification that catapult and
Perfetto refer to).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scepsy.core.trace import Call, Trace

Object = dict[str, object]


def perfetto_events(traces: Iterable[Trace]) -> Iterator[Object]:
    """All events. The events of one thread do not overlap."""
    for number, trace in enumerate(traces, start=1):
        yield _name("process_name", number, 0, f"{trace.workflow} {trace.run}")
        yield _name("thread_name", number, 0, "run")
        # Thread 0 shows the run as a whole.
        yield {
            **_event(number, 0, trace.workflow, trace.start, trace.end),
            "cat": "run",
            "args": {"run": trace.run, "ok": trace.ok, "calls": len(trace.calls)},
        }
        lanes = _lanes(trace.calls)
        for lane in range(1, max(lanes, default=0) + 1):
            yield _name("thread_name", number, lane, f"calls {lane}")
        for call, lane in zip(trace.calls, lanes, strict=True):
            yield {
                **_event(number, lane, call.llm, call.start, call.end),
                "cat": call.endpoint,
                "args": _about(call),
            }


def _lanes(calls: Iterable[Call]) -> list[int]:
    """For each call, in order of start, the first lane (from 1) that is free when it starts."""
    free: list[float] = []
    lanes: list[int] = []
    for call in calls:
        lane = next((at for at, until in enumerate(free) if until <= call.start), len(free))
        free[lane : lane + 1] = [call.end]
        lanes.append(lane + 1)
    return lanes


def _event(process: int, thread: int, name: str, start: float, end: float) -> Object:
    return {
        "ph": "X",
        "pid": process,
        "tid": thread,
        "name": name,
        "ts": start * 1e6,
        "dur": (end - start) * 1e6,
    }


def _name(kind: str, process: int, thread: int, name: str) -> Object:
    return {"ph": "M", "pid": process, "tid": thread, "name": kind, "args": {"name": name}}


def _about(call: Call) -> Object:
    fields: Object = {
        "call": call.call,
        "status": call.status,
        "error": call.error,
        "replica": call.replica,
        "prompt_tokens": call.prompt_tokens,
        "cached_tokens": call.cached_tokens,
        "output_tokens": call.output_tokens,
        "seconds_to_first_token": None
        if call.first_token is None
        else call.first_token - call.start,
    }
    return {key: value for key, value in fields.items() if value is not None}
