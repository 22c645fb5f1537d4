"""One run in the notation of any tool, imported: an agent of 5 s with an LLM call from 0.5 to 1.5 s
that has 120 prompt and 30 output tokens.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scepsy.convert import Findings, Imported, assemble, detect, spans_of
from scepsy.core.trace import Call
from scepsy.store import read_foreign

BEGIN = 1793527200.0  # 2026-11-01T10:00:00Z
CALL = (0.5, 1.0, "qwen3-8b", "chat", 120, 30)
GENAI: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "qwen3-8b",
    "gen_ai.usage.input_tokens": 120,
    "gen_ai.usage.output_tokens": 30,
}


def imported(path: Path, content: object) -> tuple[str, Imported]:
    """The format of a file with this content, and what was imported from it."""
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    findings = Findings()
    records = list(read_foreign(path, findings))
    name = detect(records[:20])
    spans = spans_of(name, records)
    found = assemble(spans, workflow=None, fallback="unnamed", llm=None, findings=findings)
    return name, found


def summary(call: Call) -> tuple[float, float, str, str, int | None, int | None]:
    """Start and duration in seconds, LLM, endpoint, prompt and output tokens."""
    start, duration = round(call.start - BEGIN, 3), round(call.duration, 3)
    return start, duration, call.llm, call.endpoint, call.prompt_tokens, call.output_tokens


def date(seconds: float) -> str:
    at = datetime.fromtimestamp(BEGIN + seconds, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def nanoseconds(seconds: float) -> int:
    return int((BEGIN + seconds) * 1000) * 10**6


def otlp(*spans: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": attribute_list({"service.name": "service"})}
    return {
        "resourceSpans": [
            {"resource": resource, "scopeSpans": [{"scope": {"name": "s"}, "spans": list(spans)}]}
        ]
    }


def otlp_span(
    name: str, start: float, end: float, attributes: dict[str, Any], parent: str = "", id: str = "b"
) -> dict[str, Any]:
    return {
        "traceId": "t",
        "spanId": id,
        "parentSpanId": parent,
        "name": name,
        "startTimeUnixNano": str(nanoseconds(start)),
        "endTimeUnixNano": str(nanoseconds(end)),
        "attributes": attribute_list(attributes),
    }


def otlp_run(call: str = "b") -> dict[str, Any]:
    root = otlp_span("answer", 0, 5, {}, id="a")
    return otlp(root, otlp_span("chat qwen3-8b", 0.5, 1.5, GENAI, parent="a", id=call))


def attribute_list(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any_value(value)} for key, value in values.items()]


def _any_value(value: object) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": value}
