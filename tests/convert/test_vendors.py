"""The same run as Datadog, Weave, Braintrust, Helicone and LiteLLM export it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from foreign_traces import BEGIN, CALL, date, imported, nanoseconds, summary

Object = dict[str, Any]


def datadog(id: str, parent: str, name: str, kind: str, start: float, end: float, **more: Any):
    about = {
        "trace_id": "t",
        "span_id": id,
        "parent_id": parent,
        "name": name,
        "span_kind": kind,
        # As in the documented answer: milliseconds, in spite of its name.
        "start_ns": int((BEGIN + start) * 1e3),
        "duration": (end - start) * 1e9,
        "ml_app": "app",
        "status": "ok",
        "metadata": {},
        "metrics": {},
        **more,
    }
    return {"id": id, "type": "span", "attributes": about}


DATADOG_LLM = {
    "model_name": "qwen3-8b",
    "metrics": {
        "input_tokens": 120,
        "output_tokens": 30,
        "cache_read_input_tokens": 64,
        "non_cached_input_tokens": 56,
        "time_to_first_token": 0.25,
    },
    "metadata": {"max_tokens": 99},
}
DATADOG = {
    "data": [
        datadog("a", "undefined", "answer", "agent", 0, 5),
        datadog("b", "a", "OpenAI.createChatCompletion", "llm", 0.5, 1.5, **DATADOG_LLM),
        datadog("c", "a", "look_up", "tool", 2, 3),
    ],
    "meta": {"status": "done"},
}


def datadog_sent(id: str, parent: str, name: str, start: float, end: float, **more: Any) -> Object:
    return {
        "trace_id": "t",
        "span_id": id,
        "parent_id": parent,
        "name": name,
        "start_ns": nanoseconds(start),
        "duration": int((end - start) * 1e9),
        **more,
    }


DATADOG_SENT = {
    "data": {
        "type": "span",
        "attributes": {
            "ml_app": "app",
            "spans": [
                datadog_sent("a", "undefined", "answer", 0, 5, meta={"kind": "workflow"}),
                datadog_sent(
                    "b",
                    "a",
                    "generate",
                    0.5,
                    1.5,
                    meta={"span.kind": "llm", "model_name": "qwen3-8b"},
                    metrics={"prompt_tokens": 120, "completion_tokens": 30},
                ),
            ],
        },
    }
}


def weave(id: str, op: str, start: float, end: float, **more: Any) -> Object:
    return {
        "id": id,
        "project_id": "team/project",
        "op_name": f"weave:///team/project/op/{op}:0d1f",
        "trace_id": "t",
        "parent_id": None if id == "a" else "a",
        "started_at": date(start),
        "ended_at": date(end),
        "attributes": {},
        "inputs": {},
        "output": {},
        "exception": None,
        **more,
    }


WEAVE_USED = {
    "usage": {
        "qwen3-8b": {
            "requests": 1,
            "prompt_tokens": 120,
            "completion_tokens": 30,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 64},
        }
    },
    "weave": {"status": "success"},
}
WEAVE = [
    weave("a", "answer", 0, 5, summary=WEAVE_USED),  # added up from the calls inside
    weave(
        "b",
        "openai.chat.completions.create",
        0.5,
        1.5,
        summary=WEAVE_USED,
        inputs={"model": "qwen3-8b", "max_tokens": 99, "stream": True},
    ),
    weave("c", "look_up", 2, 3, summary={"weave": {}}),
]


def braintrust(id: str, name: str, kind: str, start: float, end: float, **more: Any) -> Object:
    return {
        "id": f"row-{id}",
        "span_id": id,
        "root_span_id": "a",
        "span_parents": None if id == "a" else ["a"],
        "is_root": id == "a",
        "created": date(start),
        "span_attributes": {"name": name, "type": kind},
        "error": None,
        "metadata": more.get("metadata", {}),
        "metrics": {"start": BEGIN + start, "end": BEGIN + end, **more.get("metrics", {})},
    }


BRAINTRUST = {
    "events": [
        braintrust("a", "answer", "task", 0, 5),
        braintrust(
            "b",
            "Chat Completion",
            "llm",
            0.5,
            1.5,
            metadata={"model": "qwen3-8b", "stream": True, "max_tokens": 99},
            metrics={
                "prompt_tokens": 120,
                "completion_tokens": 30,
                "tokens": 150,
                "prompt_cached_tokens": 64,
                "time_to_first_token": 0.25,
            },
        ),
        braintrust("c", "Factuality", "score", 2, 3),
    ],
    "cursor": "x",
}


def helicone(id: str, start: float, end: float, **more: Any) -> Object:
    return {
        "request_id": id,
        "request_created_at": date(start),
        "request_body": {"stream": True, "max_tokens": 99},
        "request_path": "https://oai.helicone.ai/v1/chat/completions",
        "request_properties": {"Helicone-Session-Id": "s", "Helicone-Session-Name": "answer"},
        "request_model": "qwen3-8b",
        "response_created_at": date(end),
        "response_status": 200,
        "delay_ms": (end - start) * 1000,
        "time_to_first_token": 250,
        "prompt_tokens": 120,
        "prompt_cache_read_tokens": 64,
        "completion_tokens": 30,
        **more,
    }


HELICONE = {
    "data": [
        helicone("1", 0.5, 1.5),
        helicone("2", 2, 3, request_path="https://oai.helicone.ai/v1/images/generations"),
    ],
    "error": None,
}
LITELLM = {
    "id": "chatcmpl-1",
    "trace_id": "t",
    "call_type": "acompletion",
    "stream": True,
    "status": "success",
    "prompt_tokens": 120,
    "completion_tokens": 30,
    "startTime": BEGIN + 0.5,
    "endTime": BEGIN + 1.5,
    "completionStartTime": BEGIN + 0.75,
    "model": "qwen3-8b",
    "metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": 64}}},
    "model_parameters": {"max_tokens": 99},
    "cache_hit": None,
}
SPEND = {
    "request_id": "chatcmpl-1",
    "session_id": "t",
    "call_type": "acompletion",
    "prompt_tokens": 120,
    "completion_tokens": 30,
    "startTime": date(0.5),
    "endTime": date(1.5),
    "completionStartTime": date(1.5),
    "model": "qwen3-8b",
    "metadata": json.dumps({"status": "success"}),
    "cache_hit": "False",
}
FILES: dict[str, tuple[str, object]] = {
    "datadog": ("datadog", DATADOG),
    "datadog, sent": ("datadog", DATADOG_SENT),
    "weave": ("weave", "\n".join(map(json.dumps, WEAVE))),
    "braintrust": ("braintrust", BRAINTRUST),
    "helicone": ("helicone", HELICONE),
    "litellm": ("litellm", {"standard_logging_object": LITELLM}),
    "litellm, spend": ("litellm", {"data": [SPEND], "total": 1}),
}


@pytest.mark.parametrize("name", FILES)
def test_every_vendor_gives_the_same_call(tmp_path: Path, name: str) -> None:
    kind, content = FILES[name]
    found_kind, found = imported(tmp_path / "export", content)
    assert found_kind == kind
    [call] = found.calls
    assert summary(call) == CALL
    assert call.ok
    assert call.workflow == ("unnamed" if kind == "litellm" else "answer")
    if "," not in name:
        assert (call.cached_tokens, call.max_tokens, call.stream) == (64, 99, True)
        streamed = None if kind == "weave" else BEGIN + 0.75
        assert call.first_token == (streamed and pytest.approx(streamed))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (datadog("b", "", "x", "llm", 0.5, 1.5, **{**DATADOG_LLM, "status": "error"}), "failed"),
        (
            weave(
                "a",
                "openai.chat.completions.create",
                0.5,
                1.5,
                inputs={"model": "qwen3-8b"},
                exception="RateLimitError",
            ),
            "RateLimitError",
        ),
        ({**braintrust("a", "x", "llm", 0, 1, metadata={"model": "m"}), "error": "bad"}, "bad"),
        (helicone("1", 0, 1, response_status=429), "status 429"),
        ({**LITELLM, "status": "failure", "error_str": "Timeout"}, "Timeout"),
        (
            {
                **SPEND,
                "metadata": {"status": "failure", "error_information": {"error_class": "Timeout"}},
            },
            "Timeout",
        ),
    ],
)
def test_a_failed_call_stays_failed(tmp_path: Path, content: object, error: str) -> None:
    [call] = imported(tmp_path / "export", content)[1].calls
    assert (call.ok, call.error) == (False, error)


def test_an_answer_from_litellms_cache_is_no_llm_call(tmp_path: Path) -> None:
    rows = [LITELLM, {**LITELLM, "id": "2", "cache_hit": True}]
    _, found = imported(tmp_path / "export", rows)
    assert len(found.calls) == 1
    assert found.skipped == {"answer from a cache": 1}


def test_in_weave_an_embedder_is_one(tmp_path: Path) -> None:
    used = {"usage": {"bge-m3": {"prompt_tokens": 8, "total_tokens": 8}}}
    embed = weave("d", "openai.embeddings.create", 3, 3.5, summary=used)
    _, found = imported(tmp_path / "export", [*WEAVE, embed])
    assert [(call.llm, call.endpoint) for call in found.calls] == [
        ("qwen3-8b", "chat"),
        ("bge-m3", "embeddings"),
    ]
