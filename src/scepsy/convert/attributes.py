"""What a span's attributes say of an LLM call, in each of the conventions that are in use.

Names as of November 2026:

- GenAI: github open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-spans.md; older ones
  (`gen_ai.system`, `gen_ai.usage.prompt_tokens`) from semantic-conventions up to 1.36.
- OpenLLMetry: traceloop.com/docs/openllmetry/contributing/semantic-conventions (`traceloop.*`,
  `llm.request.type`, `llm.usage.*`).
- OpenInference: arize-ai.github.io/openinference/spec/attributes/semantic-conventions.html
  (`openinference.span.kind`, `llm.token_count.*`).
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import cast

from scepsy.convert.langfuse import observed
from scepsy.convert.part import ForeignRecord
from scepsy.convert.span import LlmRequest
from scepsy.core.trace import Endpoint

OPERATIONS: dict[str, Endpoint] = {
    "chat": "chat",
    "generate_content": "chat",
    "text_completion": "completions",
    "completion": "completions",
    "embeddings": "embeddings",
    "embedding": "embeddings",
    "rerank": "rerank",
    "score": "score",
}
FIRST_TOKEN = (
    "First Token Stream Event",  # OpenInference
    "gen_ai.content.completion.chunk",  # OpenLLMetry, and its older name
    "llm.content.completion.chunk",
)
"""Events by which instrumentations mark a chunk of a stream; the first is the first token."""
KINDS: dict[str, Endpoint] = {"LLM": "chat", "EMBEDDING": "embeddings", "RERANKER": "rerank"}


def asked_of(attributes: ForeignRecord, start: float) -> LlmRequest | None:
    """What the attributes (flat, dotted names) say of an LLM call; None where it is none."""
    kind = attributes.text("openinference.span.kind")
    if kind is not None:
        return _openinference(attributes, kind.upper())
    if attributes.has("langfuse.observation.type"):
        return observed(attributes)
    return _genai(attributes, start)


def workflow_of(attributes: ForeignRecord) -> str | None:
    """The workflow that the attributes name."""
    return attributes.text(
        "scepsy.workflow",
        "gen_ai.workflow.name",
        "traceloop.workflow.name",
        "langfuse.trace.name",
        "crew_name",
    )


def _genai(found: ForeignRecord, start: float) -> LlmRequest | None:
    operation = found.text("gen_ai.operation.name", "llm.request.type")
    model = found.text("gen_ai.request.model", "gen_ai.response.model", "llm.request.model")
    if operation is None:
        # Before there was an operation name, a model made an LLM span; OpenLLMetry's own spans
        # (workflow, task, tool) say their kind.
        if model is None or found.has("traceloop.span.kind"):
            return None
    elif operation not in OPERATIONS:
        return None
    wait = found.number("gen_ai.response.time_to_first_chunk")
    return LlmRequest(
        llm=model,
        endpoint=OPERATIONS.get(operation or "chat", "chat"),
        prompt_tokens=found.count(
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.usage.prompt_tokens",
        ),
        cached_tokens=found.count(
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.input_tokens.cached",
        ),
        output_tokens=found.count(
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.usage.completion_tokens",
        ),
        max_tokens=found.count("gen_ai.request.max_tokens", "llm.request.max_tokens"),
        stream=_true(found, "gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"),
        first_token=None if wait is None else start + wait,
    )


def _openinference(found: ForeignRecord, kind: str) -> LlmRequest | None:
    if kind not in KINDS:
        return None
    sent = _parameters(found)
    return LlmRequest(
        llm=found.text(
            "llm.request.model_name",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
            "llm.response.model_name",
        )
        or sent.text("model"),
        endpoint=KINDS[kind],
        prompt_tokens=found.count("llm.token_count.prompt"),
        cached_tokens=found.count("llm.token_count.prompt_details.cache_read"),
        output_tokens=found.count("llm.token_count.completion"),
        max_tokens=sent.count("max_completion_tokens", "max_tokens", "max_output_tokens"),
        stream=_true(sent, "stream"),
        items=_items(found, kind),
    )


def _parameters(found: ForeignRecord) -> ForeignRecord:
    """What was sent, out of its JSON text: of a call that failed, often all that is known."""
    told: object = None
    with suppress(ValueError):
        told = json.loads(
            found.text("llm.invocation_parameters", "embedding.invocation_parameters") or "{}"
        )
    fields = cast(dict[str, object], told) if isinstance(told, dict) else {}
    return ForeignRecord(found.file, f"{found.where}.llm.invocation_parameters", fields)


def _items(found: ForeignRecord, kind: str) -> int:
    """Documents that were reranked, texts that were embedded: lists are flattened by index."""
    head = {
        "RERANKER": "reranker.input_documents.",
        "EMBEDDING": "embedding.embeddings.",
    }.get(kind)
    if head is None:
        return 1
    listed = found.fields.get(head[:-1])
    if isinstance(listed, list):
        return max(1, len(cast(list[object], listed)))
    numbers = {name[len(head) :].split(".")[0] for name in found.fields if name.startswith(head)}
    return max(1, len(numbers))


def _true(found: ForeignRecord, *names: str) -> bool:
    return any(found.fields.get(name) in (True, "true", "True") for name in names)
