"""Traces -> OTLP JSON, with the attributes of today's GenAI conventions (see `attributes`).

A run becomes a trace: one `invoke_workflow` span around one CLIENT span per call. Fields that the
conventions have no name for become `scepsy.*`, so that an import restores the same calls. Recorded
prompts and answers are not exported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import cast

import msgspec

from scepsy.convert.instants import NANO
from scepsy.convert.otel_span import OWN
from scepsy.core.trace import Call, Trace
from scepsy.errors import BadInput

Object = dict[str, object]

_OPERATIONS = {
    "chat": "chat",
    "responses": "chat",
    "messages": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "pooling": "embeddings",
    "classify": "score",
    "rerank": "rerank",
    "score": "score",
}
_INTERNAL, _CLIENT, _FAILED = 1, 3, 2
_ELSEWHERE = ("run", "workflow", "llm", "start", "end", "request", "response")
_OWN = tuple(
    (field.name, cast(object, field.default))
    for field in msgspec.structs.fields(Call)
    if field.name not in _ELSEWHERE
)


def otlp_documents(traces: Iterable[Trace]) -> Iterator[Object]:
    """One TracesData per run. Raises BadInput for times before 1970, which OTLP cannot express."""
    for trace in traces:
        spans = [_root(trace), *(_call(trace, call) for call in trace.calls)]
        yield {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes({"service.name": "scepsy"})},
                    "scopeSpans": [{"scope": {"name": "scepsy"}, "spans": spans}],
                }
            ]
        }


def _root(trace: Trace) -> Object:
    about: Object = {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": trace.workflow,
        "scepsy.run": trace.run,
        "scepsy.workflow": trace.workflow,
    }
    name = f"invoke_workflow {trace.workflow}"
    error = None if trace.ok else "the run failed"
    return {
        **_head(trace, "", name, _INTERNAL, error),
        **_times(trace.start, trace.end),
        "attributes": _attributes(about),
    }


def _call(trace: Trace, call: Call) -> Object:
    about: Object = {
        "gen_ai.operation.name": _OPERATIONS[call.endpoint],
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": call.llm,
        "gen_ai.request.stream": call.stream,
        "gen_ai.request.max_tokens": call.max_tokens,
        "gen_ai.usage.input_tokens": call.prompt_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": call.cached_tokens,
        "gen_ai.response.time_to_first_chunk": None
        if call.first_token is None
        else max(0.0, call.first_token - call.start),
        "error.type": None if call.ok else str(call.status),
        "scepsy.run": call.run,
        "scepsy.workflow": call.workflow,
    }
    own = {
        f"{OWN}{name}": value
        for name, default in _OWN
        if (value := cast(object, getattr(call, name))) != default
    }
    error = None if call.ok else call.error or f"status {call.status}"
    return {
        **_head(trace, call.call, f"{_OPERATIONS[call.endpoint]} {call.llm}", _CLIENT, error),
        "parentSpanId": _id(trace, "", 16),
        **_times(call.start, call.end),
        "attributes": _attributes({**about, **own}),
    }


def _head(trace: Trace, call: str, name: str, kind: int, error: str | None) -> Object:
    status: Object = {} if error is None else {"code": _FAILED, "message": error}
    return {
        "traceId": _id(trace, "run", 32),
        "spanId": _id(trace, call, 16),
        "name": name,
        "kind": kind,
        "status": status,
    }


def _id(trace: Trace, inside: str, digits: int) -> str:
    """Our identifiers are any text; those of OTLP are 8 or 16 bytes in hex."""
    whole = "\0".join((trace.workflow, trace.run, inside)).encode()
    return hashlib.sha256(whole).hexdigest()[:digits]


def _times(start: float, end: float) -> Object:
    if start < 0:
        raise BadInput(f"a span starts at {start:g} s: OTLP has no times before 1970")
    return {"startTimeUnixNano": _nanos(start), "endTimeUnixNano": _nanos(end)}


def _nanos(seconds: float) -> str:
    """An import restores times of this century exactly, and earlier ones to the nanosecond."""
    return str(round(Decimal(seconds) * NANO))


def _attributes(values: Object) -> list[Object]:
    return [
        {"key": key, "value": _value(value)} for key, value in values.items() if value is not None
    ]


def _value(value: object) -> Object:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case tuple() | list():
            items = cast(tuple[object, ...], value)
            return {"arrayValue": {"values": [_value(one) for one in items]}}
        case _:
            return {"stringValue": str(value)}
