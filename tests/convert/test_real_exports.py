"""Records with the fields of real exports, as tests of the vendors' own repositories have them.

The fields were read on 2026-11-29; values are ours. Sentry: github getsentry/relay,
tests/integration/test_ai.py ("taken from a test application with a real agentic workflow") and
test_spansv2.py. LiteLLM: BerriAI/litellm, tests/logging_callback_tests/gcs_pub_sub_body, and
litellm/integrations/datadog/datadog_llm_obs.py. Datadog: DataDog/dd-trace-py,
tests/llmobs/_utils.py and tests/contrib/anthropic/test_anthropic_llmobs.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convert.test_vendors import imported
from scepsy.core.trace import Call

BEGIN = 1_730_720_000.0
TRACE = "a9351cd574f092f6acad48e250981f11"


def sentry(id: str, parent: str, op: str, begin: float, end: float, **data: Any) -> dict[str, Any]:
    named = {key.replace("__", "."): value for key, value in data.items()}
    return {
        "span_id": id,
        "trace_id": TRACE,
        "parent_span_id": parent,
        "op": op,
        "description": f"{op.removeprefix('gen_ai.')} gpt-4o",
        "data": {"sentry.op": op, "sentry.origin": "auto.vercelai.otel", **named},
        "start_timestamp": BEGIN + begin,
        "timestamp": BEGIN + end,
        "status": "ok",
        "origin": "auto.vercelai.otel",
    }


def generated(
    id: str, begin: float, end: float, prompt: int, output: int, **more: Any
) -> dict[str, Any]:
    return sentry(
        id, "13e7c1ffd66981f0", "gen_ai.generate_text", begin, end,
        operation__name="ai.generateText.doGenerate weather-chat",
        vercel__ai__operationId="ai.generateText.doGenerate",
        vercel__ai__model__id="gpt-4o",
        gen_ai__request__model="gpt-4o",
        gen_ai__response__model="gpt-4o-2024-08-06",
        gen_ai__usage__input_tokens=prompt,
        gen_ai__usage__output_tokens=output,
        gen_ai__usage__total_tokens=prompt + output,
        **more,
    )  # fmt: skip


SENTRY = {
    "type": "transaction",
    "transaction": "main",
    "start_timestamp": BEGIN,
    "timestamp": BEGIN + 9,
    "contexts": {
        "trace": {
            "span_id": "657cf984a6a4e59b",
            "trace_id": TRACE,
            "op": "gen_ai.invoke_agent",
            "status": "ok",
            "data": {
                "gen_ai.operation.name": "gen_ai.invoke_agent",
                "gen_ai.usage.input_tokens": 245,
                "gen_ai.usage.output_tokens": 65,
            },
        }
    },
    "spans": [
        sentry(
            "13e7c1ffd66981f0", "657cf984a6a4e59b", "gen_ai.invoke_agent", 0, 8,
            operation__name="ai.generateText weather-chat",
            vercel__ai__operationId="ai.generateText",
            gen_ai__response__model="gpt-4o",
            gen_ai__usage__input_tokens=245,
            gen_ai__usage__output_tokens=65,
        ),
        generated("af7b547f4d5f4f49", 1, 3, 37, 46, vercel__ai__streaming=False),
        sentry(
            "5ff84ff6bf512012", "af7b547f4d5f4f49", "http.client", 1.1, 2.9,
            http__request__method="POST", url__full="https://api.openai.com/v1/responses",
        ),
        sentry(
            "d2fd68d7cf6eb933", "13e7c1ffd66981f0", "gen_ai.execute_tool", 3, 4,
            operation__name="ai.toolCall weather-chat", gen_ai__tool__name="getWeather",
        ),
        generated(
            "bdf1648756367ee5", 5, 7, 208, 19, vercel__ai__streaming=True,
            gen_ai__usage__input_tokens__cached=5,
            gen_ai__response__time_to_first_token=0.6853435,
        ),
    ],
}  # fmt: skip


def tokens(call: Call) -> tuple[int | None, ...]:
    return call.prompt_tokens, call.cached_tokens, call.output_tokens


def test_a_sentry_transaction_of_an_agent_has_its_calls_and_not_their_sum(tmp_path: Path) -> None:
    kind, found = imported(tmp_path / "export", SENTRY)
    assert kind == "sentry"
    first, second = sorted(found.calls, key=lambda call: call.start)
    assert (tokens(first), tokens(second)) == ((37, None, 46), (208, 5, 19))
    assert (first.stream, second.stream) == (False, True)
    assert second.first_token == pytest.approx(BEGIN + 5.6853435)
    assert found.skipped == {"agent": 2, "HTTP or RPC": 1, "tool call": 1}


def test_sentrys_newer_spans_have_typed_attributes(tmp_path: Path) -> None:
    typed = {
        "sentry.op": {"value": "gen_ai.chat", "type": "string"},
        "gen_ai.request.model": {"value": "gpt-4o", "type": "string"},
        "gen_ai.usage.input_tokens": {"value": 37, "type": "integer"},
        "gen_ai.usage.output_tokens": {"value": 46, "type": "integer"},
    }
    span = {
        "start_timestamp": BEGIN,
        "end_timestamp": BEGIN + 0.5,
        "trace_id": TRACE,
        "span_id": "eee19b7ec3c1b175",
        "is_segment": False,
        "name": "chat gpt-4o",
        "status": "ok",
        "attributes": typed,
    }
    [call] = imported(tmp_path / "export", {"version": 2, "items": [span]})[1].calls
    assert (call.llm, call.start, call.end) == ("gpt-4o", BEGIN, BEGIN + 0.5)
    assert tokens(call) == (37, None, 46)


SPEND = {
    "request_id": "chatcmpl-2283081b",
    "session_id": "1234567890",
    "call_type": "acompletion",
    "cache_hit": "None",
    "startTime": "2025-01-24 09:20:46.847371",
    "endTime": "2025-01-24 09:20:47.851954",
    "completionStartTime": "2025-01-24 09:20:47.851954",
    "model": "gpt-4o",
    "model_group": "",
    "metadata": json.dumps({"usage_object": {"prompt_tokens_details": None}, "status": None}),
    "cache_key": "Cache OFF",
    "total_tokens": 30,
    "prompt_tokens": 10,
    "completion_tokens": 20,
    "request_tags": "[]",
    "messages": "{}",
    "response": "{}",
    "proxy_server_request": json.dumps({"model": "gpt-4o", "max_tokens": 99, "stream": True}),
    "status": "success",
}


def test_a_spend_log_of_litellm_has_the_limit_of_its_request(tmp_path: Path) -> None:
    [call] = imported(tmp_path / "export", SPEND)[1].calls
    assert tokens(call) == (10, None, 20)
    assert (call.run, call.max_tokens, call.stream) == ("1234567890", 99, True)
    [call] = imported(tmp_path / "other", {**SPEND, "proxy_server_request": "{}"})[1].calls
    assert (call.max_tokens, call.stream) == (None, False)


def test_litellms_older_payloads_have_cached_tokens_in_the_answer(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}
    older = {
        **SPEND,
        "id": SPEND["request_id"],
        "trace_id": None,
        "metadata": {"user_api_key_hash": None, "applied_guardrails": []},
        "response": {"object": "chat.completion", "choices": [], "usage": usage},
        "model_parameters": {},
        "error_str": None,
        "error_information": {"error_code": "", "error_message": ""},
    }
    [call] = imported(tmp_path / "export", older)[1].calls
    assert tokens(call) == (10, 4, 20)
    assert call.ok


def datadog(wait: float, streamed: bool | None, **metadata: Any) -> dict[str, Any]:
    """What LiteLLM sends to Datadog."""
    about = {"model_name": "gpt-4o", "cache_hit": False, **metadata}
    if streamed is not None:
        about["is_streamed_request"] = streamed
    span = {
        "parent_id": "undefined",
        "trace_id": "t",
        "span_id": "s",
        "name": "litellm_llm_call",
        "meta": {"kind": "llm", "input": {"messages": []}, "metadata": about, "error": None},
        "start_ns": 1_737_710_446_847_371_000,
        "duration": 1_004_583_000,
        "metrics": {
            "input_tokens": 10.0,
            "output_tokens": 20.0,
            "total_tokens": 30.0,
            "time_to_first_token": wait,
        },
        "status": "ok",
        "tags": [],
    }
    return {
        "data": {"type": "span", "attributes": {"ml_app": "litellm", "tags": [], "spans": [span]}}
    }


@pytest.mark.parametrize(
    ("wait", "streamed", "first"),
    [
        (1.0045831203460693, False, None),  # the difference of two floats: the whole duration
        (1.0045831203460693, None, None),
        (0.25, None, 0.25),
        (0.25, True, 0.25),
    ],
)
def test_litellm_tells_datadog_the_llm_beside_the_call(
    tmp_path: Path, wait: float, streamed: bool | None, first: float | None
) -> None:
    kind, found = imported(tmp_path / "export", datadog(wait, streamed))
    assert kind == "datadog"
    [call] = found.calls
    assert (call.llm, *tokens(call)) == ("gpt-4o", 10, None, 20)
    assert call.stream == (first is not None)
    assert call.first_token == (first and pytest.approx(call.start + first))


def test_litellm_tells_datadog_of_answers_from_its_cache(tmp_path: Path) -> None:
    call, cached = (
        datadog(0.25, True)["data"]["attributes"]["spans"][0],
        datadog(0.25, True, cache_hit=True)["data"]["attributes"]["spans"][0],
    )
    _, found = imported(tmp_path / "export", [call, {**cached, "span_id": "z"}])
    assert len(found.calls) == 1
    assert found.skipped == {"answer from a cache": 1}


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}, (12, None, 3)),
        (
            {
                "input_tokens": 1595,
                "output_tokens": 143,
                "total_tokens": 1738,
                "cache_write_input_tokens": 0,
                "ephemeral_5m_input_tokens": 0,
                "cache_read_input_tokens": 100,
            },
            (1595, 100, 143),
        ),
    ],
)
def test_spans_of_dd_trace_py_of_two_versions(
    tmp_path: Path, metrics: dict[str, int], expected: tuple[int | None, ...]
) -> None:
    span = {
        "span_id": "123",
        "trace_id": "6903738200000000af2d3775dfc70530",
        "parent_id": "undefined",
        "session_id": "6903738200000000af2d3775dfc70530",
        "name": "openai.request",
        "tags": ["version:", "source:integration", "ml_app:unnamed-ml-app", "error:0"],
        "start_ns": 1_700_000_000_000_000_000,
        "duration": 2_000_000_000,
        "status": "error",
        "meta": {
            "span.kind": "llm",
            "input": {"messages": [], "parameters": {"max_tokens": 200.0}},
            "model_name": "claude-sonnet-4-6",
            "model_provider": "anthropic",
            "error.type": "APIError",
            "error.message": "overloaded",
            "error.stack": "...",
        },
        "metrics": metrics,
    }
    sent = {"_dd.stage": "raw", "event_type": "span", "spans": [span]}
    [call] = imported(tmp_path / "export", sent)[1].calls
    assert tokens(call) == expected
    assert (call.end - call.start, call.max_tokens, call.error) == (2.0, 200, "overloaded")
