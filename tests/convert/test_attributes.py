"""What attributes of spans say of an LLM call, in the conventions that are or were in use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from foreign_traces import GENAI, imported, otlp, otlp_span
from scepsy.errors import BadInput

Object = dict[str, Any]
USED = {"gen_ai.usage.input_tokens": 120, "gen_ai.usage.output_tokens": 30}
USED_BEFORE = {"gen_ai.usage.prompt_tokens": 120, "gen_ai.usage.completion_tokens": 30}
MODEL = {"gen_ai.request.model": "qwen3-8b"}
OPENINFERENCE = {"llm.token_count.prompt": 120, "llm.token_count.completion": 30}

CHATS: dict[str, Object] = {
    "chat qwen3-8b": GENAI,
    "openai.chat": {"gen_ai.system": "openai", **MODEL, **USED_BEFORE},
    "traceloop.chat": {"llm.request.type": "chat", **MODEL, **USED_BEFORE},
    "traceloop, first": {
        "llm.request.type": "chat",
        "llm.request.model": "qwen3-8b",
        "llm.usage.prompt_tokens": 120,
        "llm.usage.completion_tokens": 30,
    },
    "ChatCompletion": {
        "openinference.span.kind": "LLM",
        "llm.model_name": "qwen3-8b",
        **OPENINFERENCE,
    },
    "ai.generateText.doGenerate": {
        "operation.name": "ai.generateText.doGenerate my-function",
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.id": "qwen3-8b",
        "ai.usage.promptTokens": 120,
        "ai.usage.completionTokens": 30,
    },
    "ai.streamText.doStream": {
        "ai.operationId": "ai.streamText.doStream",
        "ai.model.id": "qwen3-8b",
        "ai.usage.inputTokens": 120,
        "ai.usage.outputTokens": 30,
    },
    "Chat Completion": {
        "braintrust.span_attributes": json.dumps({"type": "llm", "name": "Chat Completion"}),
        "braintrust.metrics": json.dumps({"prompt_tokens": 120, "completion_tokens": 30}),
        "braintrust.metadata": json.dumps({"model": "qwen3-8b"}),
    },
    "langfuse": {
        "langfuse.observation.type": "generation",
        "langfuse.observation.model.name": "qwen3-8b",
        "langfuse.observation.usage_details": json.dumps(
            {"input": 56, "input_cached_tokens": 64, "output": 30}
        ),
    },
    "langtrace.openai": {
        "langtrace.service.type": "llm",
        "url.path": "/chat/completions",
        "http.max.retries": 2,
        **MODEL,
        **USED,
    },
    "bedrock": {"rpc.system": "aws-api", **GENAI},
    "llm_request": {"gen_ai.response.model": "qwen3-8b", **USED_BEFORE},  # vLLM
    "call_llm": {"gen_ai.system": "gcp.vertex.agent", **MODEL, **USED},  # Google's ADK
    "generate_content": {**GENAI, "gen_ai.operation.name": "generate_content"},
    "litellm_request": {"gen_ai.operation.name": "acompletion", **MODEL, **USED_BEFORE},
    "chat.completions": {
        "gen_ai.operation.name": "chat.completions",
        **MODEL,
        "gen_ai.response.prompt_tokens": 120,  # Semantic Kernel
        "gen_ai.response.completion_tokens": 30,
    },
    "a new operation": {**GENAI, "gen_ai.operation.name": "omni_reply"},
    "numbers of other kinds": {
        **GENAI,
        "gen_ai.usage.input_tokens": 120.0,
        "gen_ai.usage.output_tokens": "30",
    },
    "usage as an object": {
        "gen_ai.operation.name": "chat",
        **MODEL,
        "gen_ai.usage": json.dumps({"prompt_tokens": 120, "completion_tokens": 30}),
    },
    "Gemini's reasoning": {
        "gen_ai.operation.name": "chat",
        **MODEL,
        "gen_ai.usage": json.dumps(
            {"promptTokenCount": 120, "candidatesTokenCount": 20, "thoughtsTokenCount": 10}
        ),
    },
}


@pytest.mark.parametrize("name", CHATS)
def test_a_chat_in_every_convention(tmp_path: Path, name: str) -> None:
    _, found = imported(tmp_path / "spans", otlp(otlp_span(name, 0.5, 1.5, CHATS[name])))
    [call] = found.calls
    assert (call.llm, call.endpoint) == ("qwen3-8b", "chat")
    assert (call.prompt_tokens, call.output_tokens) == (120, 30)


@pytest.mark.parametrize(
    ("name", "attributes", "endpoint", "items"),
    [
        (
            "text_completion",
            {**GENAI, "gen_ai.operation.name": "text_completion"},
            "completions",
            1,
        ),
        ("x", {"llm.request.type": "completion", **MODEL}, "completions", 1),
        ("responses", {**GENAI, "gen_ai.operation.name": "responses"}, "responses", 1),
        ("embeddings", {"gen_ai.operation.name": "embeddings", **MODEL}, "embeddings", 1),
        ("x", {"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "qwen3-8b"}, "embeddings", 1),
        (
            "x",
            {
                "openinference.span.kind": "EMBEDDING",
                "embedding.model_name": "qwen3-8b",
                "embedding.embeddings.0.embedding.text": "a",
                "embedding.embeddings.1.embedding.text": "b",
            },
            "embeddings",
            2,
        ),
        (
            "x",
            {
                "openinference.span.kind": "RERANKER",
                "reranker.model_name": "qwen3-8b",
                "reranker.input_documents.0.document.content": "a",
            },
            "rerank",
            1,
        ),
    ],
)
def test_other_endpoints(
    tmp_path: Path, name: str, attributes: Object, endpoint: str, items: int
) -> None:
    [call] = imported(tmp_path / "spans", otlp(otlp_span(name, 0, 1, attributes)))[1].calls
    assert (call.llm, call.endpoint, call.items) == ("qwen3-8b", endpoint, items)


@pytest.mark.parametrize(
    ("name", "attributes", "kind"),
    [
        ("execute_tool x", {"gen_ai.operation.name": "execute_tool", **MODEL}, "tool call"),
        ("invoke_agent x", {**GENAI, "gen_ai.operation.name": "invoke_agent"}, "agent"),
        ("create_agent x", {"gen_ai.operation.name": "create_agent", **MODEL}, "agent"),
        ("w.workflow", {"traceloop.span.kind": "workflow", **MODEL}, "workflow"),
        ("chat", {"braintrust.span_attributes": '{"type": "task", "name": "chat"}'}, "workflow"),
        ("query", {"gen_ai.operation.name": "vectordb", "db.system": "chroma"}, "database"),
        ("POST /v1/chat/completions", {"http.route": "/v1", **MODEL}, "HTTP or RPC"),
        ("send", {"messaging.system": "kafka", **MODEL, **USED}, "messaging"),
        ("auth", MODEL, "administration"),
    ],
)
def test_what_is_no_llm_call(tmp_path: Path, name: str, attributes: Object, kind: str) -> None:
    call = otlp_span("chat qwen3-8b", 0, 1, GENAI, id="c")
    _, found = imported(tmp_path / "spans", otlp(call, otlp_span(name, 0, 1, attributes)))
    assert len(found.calls) == 1
    assert found.skipped == {kind: 1}
    with pytest.raises(BadInput, match=f"There is: 1 {kind}"):
        imported(tmp_path / "spans", otlp(otlp_span(name, 0, 1, attributes)))
