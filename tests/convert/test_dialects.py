"""The same run as each program that stores OpenTelemetry's spans writes it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from foreign_traces import BEGIN, CALL, GENAI, date, imported, nanoseconds, otlp_run, summary

MICRO = int(BEGIN * 1e6)
TAGS = [{"key": key, "type": "string", "value": value} for key, value in GENAI.items()]

JAVASCRIPT = """Instrumentation started
{
  resource: { attributes: { 'service.name': 'agent' } },
  instrumentationScope: { name: 'openai', version: '1.0', schemaUrl: undefined },
  traceId: '5af3b1f0000000000000000000000001',
  parentSpanContext: { traceId: '5af3b1f0000000000000000000000001', spanId: 'a1' },
  traceState: undefined,
  name: 'chat qwen3-8b',
  id: 'b1',
  kind: 2,
  timestamp: 1793527200500000,
  duration: 1000000.25,
  attributes: {
    'gen_ai.operation.name': 'chat',
    'gen_ai.request.model': 'qwen3-8b',
    'gen_ai.usage.input_tokens': 120,
    'gen_ai.usage.output_tokens': 30,
    'gen_ai.response.finish_reasons': [ 'stop' ],
    text: 'it\\'s \\n "quoted" }',
  },
  status: { code: 0 },
  events: [],
  links: []
}
a line of the program itself { not JSON
{
  traceId: '5af3b1f0000000000000000000000001',
  parentId: undefined,
  name: 'answer',
  id: 'a1',
  kind: 0,
  timestamp: 1793527200000000,
  duration: 5000000,
  attributes: {},
  status: { code: 1 },
  events: [ { name: 'e', attributes: [Object], time: [ 1793527200, 1 ] } ],
  links: []
}
"""


def jaeger(id: str, name: str, start: float, end: float, tags: list[dict[str, Any]], parent: str):
    reference = {"refType": "CHILD_OF", "traceID": "t", "spanID": parent}
    return {
        "traceID": "t",
        "spanID": id,
        "operationName": name,
        "references": [reference] if parent else [],
        "startTime": MICRO + int(start * 1e6),
        "duration": int((end - start) * 1e6),
        "tags": tags,
        "logs": [],
        "processID": "p1",
    }


JAEGER = {
    "traceID": "t",
    "spans": [jaeger("a", "answer", 0, 5, [], ""), jaeger("b", "chat", 0.5, 1.5, TAGS, "a")],
    "processes": {"p1": {"serviceName": "agent", "tags": []}},
}
ELASTICSEARCH = {
    **jaeger("b", "chat", 0.5, 1.5, [], "a"),
    "tag": {key.replace(".", "@"): value for key, value in GENAI.items()},
    "process": {"serviceName": "agent"},
}
SENTRY = {
    "event_id": "e",
    "type": "transaction",
    "transaction": "answer",
    "start_timestamp": BEGIN,
    "timestamp": BEGIN + 5,
    "contexts": {"trace": {"trace_id": "t", "span_id": "a", "op": "gen_ai.invoke_agent"}},
    "spans": [
        {
            "trace_id": "t",
            "span_id": "b",
            "parent_span_id": "a",
            "op": "gen_ai.chat",
            "description": "chat qwen3-8b",
            "start_timestamp": BEGIN + 0.5,
            "timestamp": BEGIN + 1.5,
            "status": "ok",
            "data": GENAI,
        },
        {
            "trace_id": "t",
            "span_id": "c",
            "parent_span_id": "b",
            "op": "http.client",
            "start_timestamp": BEGIN + 0.5,
            "timestamp": BEGIN + 1.5,
            "data": {"http.request.method": "POST", "gen_ai.request.model": "qwen3-8b"},
        },
    ],
}
SENTRY_2_33 = {
    "op": "ai.chat_completions.create.openai",
    "data": {
        "ai.model_id": "qwen3-8b",
        "ai.prompt_tokens.used": 120,
        "ai.completion_tokens.used": 30,
    },
}


def clickhouse(id: str, name: str, start: float, end: float, attributes: dict[str, Any]):
    return {
        "Timestamp": date(start).replace("T", " ").replace("Z", "000000"),
        "TraceId": "t",
        "SpanId": id,
        "ParentSpanId": "" if id == "a" else "a",
        "SpanName": name,
        "ServiceName": "agent",
        "SpanAttributes": {key: str(value) for key, value in attributes.items()},
        "Duration": str(int((end - start) * 1e9)),
        "StatusCode": "STATUS_CODE_UNSET",
    }


CLICKHOUSE = [
    clickhouse("a", "answer", 0, 5, {}),
    clickhouse("b", "chat qwen3-8b", 0.5, 1.5, GENAI),
]
MLFLOW = [
    {
        "trace_id": "AAAA",
        "span_id": id,
        "parent_span_id": parent,
        "name": name,
        "start_time_unix_nano": nanoseconds(start),
        "end_time_unix_nano": nanoseconds(end),
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {key: json.dumps(value) for key, value in attributes.items()},
    }
    for id, parent, name, start, end, attributes in (
        ("a", None, "answer", 0, 5, {"mlflow.spanType": "AGENT"}),
        (
            "b",
            "a",
            "Completions",
            0.5,
            1.5,
            {
                "mlflow.spanType": "CHAT_MODEL",
                "mlflow.llm.model": "qwen3-8b",
                "mlflow.chat.tokenUsage": {"input_tokens": 120, "output_tokens": 30},
            },
        ),
    )
]


def table(rows: list[dict[str, Any]]) -> str:
    """A CSV, objects as Python and ClickHouse write them."""
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


PHOENIX = [  # a dataframe of spans
    {
        "name": name,
        "span_kind": kind,
        "parent_id": parent,
        "start_time": int((BEGIN + start) * 1000),
        "end_time": int((BEGIN + end) * 1000),
        "status_code": "OK",
        "context.span_id": id,
        "context.trace_id": "t",
        "attributes.llm.model_name": llm,
        "attributes.llm.token_count.prompt": prompt,
        "attributes.llm.token_count.completion": output,
    }
    for id, parent, name, kind, start, end, llm, prompt, output in (
        ("a", None, "answer", "CHAIN", 0, 5, None, float("nan"), None),
        ("b", "a", "ChatCompletion", "LLM", 0.5, 1.5, "qwen3-8b", 120.0, 30.0),
    )
]
COLUMNS = {name: [row[name] for row in PHOENIX] for name in PHOENIX[0]}
GO = [
    {
        "Name": name,
        "SpanContext": {"TraceID": "t", "SpanID": id},
        "Parent": {"TraceID": "0" * 32, "SpanID": parent},
        "StartTime": date(start).replace("T10", "T11").replace("Z", "+01:00"),
        "EndTime": date(end).replace("T10", "T11").replace("Z", "000001+01:00"),
        "Attributes": [
            {"Key": key, "Value": {"Type": "STRING", "Value": value}}
            for key, value in attributes.items()
        ],
        "Events": None,
        "Status": {"Code": "Unset", "Description": ""},
    }
    for id, parent, name, start, end, attributes in (
        ("a", "0" * 16, "answer", 0, 5, {}),
        ("b", "a", "chat qwen3-8b", 0.5, 1.5, GENAI),
    )
]


def in_unit(per_second: float) -> dict[str, Any]:
    """OTLP whose fields of nanoseconds have another unit."""
    document = otlp_run()
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("startTimeUnixNano", "endTimeUnixNano"):
            span[name] = str(int(int(span[name]) / 1e9 * per_second))
    return document


FILES: dict[str, tuple[str, object]] = {
    "go console": ("otel-spans", "\n".join(json.dumps(span, indent=1) for span in GO)),
    "otlp in milliseconds": ("otlp", in_unit(1e3)),
    "otlp in microseconds": ("otlp", in_unit(1e6)),
    "pandas CSV": ("phoenix", table(PHOENIX)),
    "pandas records": ("phoenix", PHOENIX),
    "pandas lines": ("phoenix", "\n".join(map(json.dumps, PHOENIX))),
    "pandas columns": (
        "phoenix",
        {name: {str(n): one for n, one in enumerate(of)} for name, of in COLUMNS.items()},
    ),
    "pandas index": ("phoenix", {str(number): row for number, row in enumerate(PHOENIX)}),
    "pandas split": (
        "phoenix",
        {"columns": list(COLUMNS), "index": [0, 1], "data": [[*row.values()] for row in PHOENIX]},
    ),
    "pandas table": ("phoenix", {"schema": {"fields": []}, "data": PHOENIX}),
    "columns as lists": ("phoenix", COLUMNS),
    "clickhouse JSONCompact": (
        "otel-spans",
        {
            "meta": [{"name": name, "type": "String"} for name in CLICKHOUSE[0]],
            "data": [[*row.values()] for row in CLICKHOUSE],
            "rows": 2,
        },
    ),
    "javascript console": ("otel-spans", JAVASCRIPT),
    "javascript console, CRLF": ("otel-spans", JAVASCRIPT.replace("\n", "\r\n")),
    "jaeger API": ("otel-spans", {"data": [JAEGER], "total": 0, "limit": 0}),
    "jaeger file": ("otel-spans", [JAEGER]),
    "jaeger in Elasticsearch": (
        "otel-spans",
        {"took": 1, "hits": {"hits": [{"_index": "jaeger-span", "_source": ELASTICSEARCH}]}},
    ),
    "sentry": ("sentry", SENTRY),
    "sentry 2.33": (
        "sentry",
        [{**SENTRY, "spans": [{**SENTRY["spans"][0], **SENTRY_2_33}, SENTRY["spans"][1]]}],
    ),
    "clickhouse lines": ("otel-spans", "\n".join(map(json.dumps, CLICKHOUSE))),
    "clickhouse JSON": ("otel-spans", {"meta": [], "data": CLICKHOUSE, "rows": 2}),
    "clickhouse CSV": ("otel-spans", table(CLICKHOUSE)),
    "mlflow": ("otel-spans", {"info": {"trace_id": "tr-1"}, "data": {"spans": MLFLOW}}),
}


@pytest.mark.parametrize("name", FILES)
def test_every_dialect_gives_the_same_call(tmp_path: Path, name: str) -> None:
    kind, content = FILES[name]
    found_kind, found = imported(tmp_path / "spans", content)
    assert found_kind == kind
    [call] = found.calls
    assert summary(call) == CALL
    assert call.ok
    if "Elasticsearch" not in name:  # which has the span alone
        assert call.workflow == "answer"
        [mark] = found.marks
        assert round(mark.end - mark.start, 3) == 5


def test_what_stands_between_the_spans_of_a_console_is_counted(tmp_path: Path) -> None:
    _, found = imported(tmp_path / "out.txt", JAVASCRIPT)
    assert [(one.reason, one.count) for one in found.left_out] == [("lines that are no JSON", 2)]


def test_jaeger_says_why_a_call_failed(tmp_path: Path) -> None:
    tags = [*TAGS, {"key": "error", "value": True}]
    tags.append({"key": "otel.status_description", "value": "rate limited"})
    failed = {**JAEGER, "spans": [jaeger("b", "chat", 0.5, 1.5, tags, "")]}
    [call] = imported(tmp_path / "spans", [failed])[1].calls
    assert (call.ok, call.error) == (False, "rate limited")


def test_a_console_output_that_is_cut_off_anywhere_loses_its_last_span_only(tmp_path: Path) -> None:
    second = JAVASCRIPT.index("a line of the program")
    for end in range(second, len(JAVASCRIPT), 7):
        _, found = imported(tmp_path / "out.txt", JAVASCRIPT[:end])
        assert [summary(call) for call in found.calls] == [CALL]
