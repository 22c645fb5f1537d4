"""Attributes of a span -> LLM request, in each of the conventions that are in use.

Names as of November 2026:

- GenAI: github open-telemetry/semantic-conventions-genai, docs/gen-ai/gen-ai-spans.md; older ones
  (`gen_ai.system`, `gen_ai.usage.prompt_tokens`) from semantic-conventions up to 1.36.
- OpenLLMetry: traceloop.com/docs/openllmetry/contributing/semantic-conventions (`traceloop.*`,
  `llm.request.type`, `llm.usage.*`).
- OpenInference: arize-ai.github.io/openinference/spec/attributes/semantic-conventions.html
  (`openinference.span.kind`, `llm.token_count.*`).
- Vercel AI SDK 3.3 to 6: `ai.*` (github arize-ai/openinference, js/openinference-vercel).
- Langfuse's SDK: `langfuse.observation.*`, objects as JSON text. MLflow: `mlflow.*`, likewise.
"""

from __future__ import annotations

from scepsy.convert.attribute_names import (
    CACHED,
    KINDS,
    LLM,
    MAX_TOKENS,
    OPERATIONS,
    OUTPUT,
    PARAMETERS,
    PROMPT,
    STREAM,
    USAGE,
    WORKFLOW,
)
from scepsy.convert.evidence import Evidence, weigh
from scepsy.convert.foreign_record import ForeignRecord, known
from scepsy.convert.instants import NANO
from scepsy.convert.roles import Role, role
from scepsy.convert.span import LlmRequest
from scepsy.convert.usage import usage_of
from scepsy.core.trace import Endpoint

_WAIT_MAX = 1e4
"""Seconds. A longer wait for the first token has another unit."""
FIRST_TOKEN = (
    "First Token Stream Event",  # OpenInference
    "gen_ai.content.completion.chunk",  # OpenLLMetry, and its older name
    "llm.content.completion.chunk",
    "ai.stream.firstChunk",  # Vercel AI SDK
    "gen_ai.first_token",
)
"""Events by which instrumentations mark a chunk of a stream; the first is the first token."""


def read_span(attributes: ForeignRecord, start: float, name: str | None) -> LlmRequest | str:
    """The LLM request of a span with this name and these attributes (flat, dotted names); for a
    span that is no LLM call, the kind of span in words.
    """
    request = _request(attributes, start)
    found = weigh(_evidence(attributes, request, name))
    if isinstance(found, str):
        return found
    endpoint, weak = found
    return LlmRequest(
        llm=request.llm,
        endpoint=endpoint,
        prompt_tokens=request.prompt_tokens,
        cached_tokens=request.cached_tokens,
        output_tokens=request.output_tokens,
        max_tokens=request.max_tokens,
        stream=request.stream,
        items=_items(attributes, endpoint),
        first_token=request.first_token,
        weak=weak,
    )


def workflow_of(attributes: ForeignRecord) -> str | None:
    """The workflow that the attributes name."""
    return attributes.text(*WORKFLOW)


def _evidence(found: ForeignRecord, request: LlmRequest, name: str | None) -> Evidence:
    kinds = [_kind(found.text(key)) for key in KINDS if found.fields.get(key)]
    operation = next((key for key in OPERATIONS if found.text(key)), None)
    named = None if operation is None else found.text(operation)
    if named is not None and operation in ("operation.name", "ai.operationId"):
        # Vercel's name may be followed by the user's own; others use these for any kind of work.
        named = named.split(" ", 1)[0] if named.startswith("ai.") else None
    return Evidence(
        names=tuple(found.fields),
        kind=next((one for one in kinds if one is not None), None),
        operation=role(named),
        operation_named=named,
        name=name,
        llm=request.llm,
        tokens=bool(request.prompt_tokens or request.output_tokens)
        or any(found.fields.get(name) is not None for name in (*PROMPT, *OUTPUT)),
    )


def _kind(named: str | None) -> Role | None:
    """A role by an attribute of `KINDS`, where a score is an evaluation's, not an LLM's."""
    found = role(named)
    scores = found is not None and found.endpoint == "score"
    return Role(None, "evaluation") if scores else found


def _request(found: ForeignRecord, start: float) -> LlmRequest:
    sent = found.part(*PARAMETERS)
    usage = usage_of(found.part(*USAGE))
    wait = known_wait(found)
    first = found.moment("langfuse.observation.completion_start_time") or (
        None if wait is None else start + wait
    )
    return LlmRequest(
        llm=found.text(*LLM) or sent.text("model", "model_name"),
        prompt_tokens=known(found.count(*PROMPT), usage.prompt),
        cached_tokens=known(found.count(*CACHED), usage.cached),
        output_tokens=known(found.count(*OUTPUT), usage.output),
        max_tokens=known(
            found.count(*MAX_TOKENS),
            sent.count("max_completion_tokens", "max_tokens", "max_output_tokens", "maxTokens"),
        ),
        stream=found.true(*STREAM) or sent.true("stream") or _streams(found, first),
        first_token=first,
    )


def known_wait(found: ForeignRecord) -> float | None:
    """Seconds to the first token."""
    seconds = found.number(
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.latency.time_to_first_token",  # vLLM's own spans
        "gen_ai.server.time_to_first_token",
    )
    if seconds is None and (wait := found.number("gen_ai.response.time_to_first_token")):
        # Seconds by Sentry's conventions, nanoseconds by Alibaba's.
        seconds = wait if wait < _WAIT_MAX else wait / NANO
    if seconds is None:
        seconds = found.milliseconds("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk")
    return seconds if seconds is None or seconds >= 0 else None


def _streams(found: ForeignRecord, first: float | None) -> bool:
    named = first is not None and found.has("langfuse.observation.completion_start_time")
    return named or "stream" in (found.text("ai.operationId", "operation.name") or "").lower()


def _items(found: ForeignRecord, endpoint: Endpoint) -> int:
    """Documents that were reranked, texts that were embedded: lists are flattened by index."""
    heads = {
        "rerank": ("reranker.input_documents", "ai.documents"),
        "embeddings": ("embedding.embeddings", "ai.values"),
    }.get(endpoint, ())
    for head in heads:
        listed = found.fields.get(head)
        if isinstance(listed, list) and listed:
            return len(listed)  # pyright: ignore[reportUnknownArgumentType]
        start = f"{head}."
        numbers = {key[len(start) :].split(".")[0] for key in found.fields if key.startswith(start)}
        if numbers:
            return len(numbers)
    return 1
