"""Reads requests of the OpenAI API: which LLM is asked for, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scepsy.core.trace import Endpoint
from scepsy.gateway.names import name_instead
from scepsy.gateway.wire.errors import ErrorAnswer, malformed
from scepsy.gateway.wire.lenient_json import Json, elements, identifier, members, parse, text
from scepsy.gateway.wire.prompts import prompt_items
from scepsy.gateway.wire.token_ids import LARGE_BODY, parse_large

ENDPOINTS: dict[str, Endpoint] = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/messages": "messages",  # Anthropic
    "/v1/embeddings": "embeddings",
    "/v2/embed": "embeddings",  # Cohere
    "/pooling": "pooling",
    "/classify": "classify",
    "/v1/rerank": "rerank",
    "/v2/rerank": "rerank",  # Cohere
    "/rerank": "rerank",
    "/v1/ranking": "rerank",  # NVIDIA NIM
    "/v1/score": "score",
    "/score": "score",
}
HELPERS = frozenset({"/tokenize", "/detokenize", "/v1/messages/count_tokens"})
"""Paths that ask an engine about tokens. The LLM itself does no work, so these are no calls."""

_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request. `endpoint` is None for one that is no call of an LLM (`HELPERS`); `fields` is its
    whole body; `llm` is what its `model` says, where that is a name,
    and otherwise a name to show instead, which no LLM has.
    """

    endpoint: Endpoint | None
    llm: str
    stream: bool
    fields: dict[str, Json]

    @property
    def max_tokens(self) -> int | None:
        """The caller's limit on output tokens; None if there is none, or it is not an integer."""
        limits = (self.fields.get(name) for name in _LIMITS)
        return next((limit for limit in limits if type(limit) is int), None)

    @property
    def items(self) -> int:
        """Number of inputs of an embedding or documents of a rerank or score; otherwise 1."""
        return prompt_items(self.endpoint, self.fields)


def read_request(endpoint: Endpoint | None, body: bytes) -> ApiRequest | ErrorAnswer:
    """Reads the fields that the gateway needs; the others are left to the engine."""
    try:
        fields = parse_large(body) if len(body) > LARGE_BODY else parse(body)
    except ValueError as error:
        return malformed(f"the body is not valid JSON: {error}")
    if not isinstance(fields, dict):
        return malformed("the body must be a JSON object")
    llm = text(fields.get("model"))
    if llm is None:
        return malformed("`model` must be a string that names a model", "model")
    return ApiRequest(endpoint, name_instead(llm), fields.get("stream") is True, fields)


def echoed_ids(fields: dict[str, Json]) -> Iterator[str]:
    """Ids in a request that a server issued in an earlier answer of the same run."""
    previous = identifier(fields.get("previous_response_id"))
    if previous:
        yield previous
    for message in (*elements(fields.get("messages")), *elements(fields.get("input"))):
        entry = members(message)
        for part in map(members, elements(entry.get("content"))):  # Anthropic
            key = "id" if part.get("type") == "tool_use" else "tool_use_id"
            if issued := identifier(part.get(key)):
                yield issued
        for named in (entry, *map(members, elements(entry.get("tool_calls")))):
            key = "id" if named is not entry else "tool_call_id"
            issued = identifier(named.get(key)) or identifier(named.get("call_id"))
            if issued:
                yield issued
