"""Whether a span is an LLM call: the evidence for and against.

A model's name alone proves nothing: gateways also write it on the spans of their HTTP servers,
caches and databases. Nor does a list of operations decide: a span of an operation that we have
never heard of is an LLM call if it counts tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from scepsy.convert.roles import Role, names_an_operation, role, transport
from scepsy.core.trace import Endpoint

_DETAILS = (
    "gen_ai.system",
    "gen_ai.provider.name",
    "gen_ai.request.",
    "gen_ai.response.",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.input",
    "gen_ai.output",
    "gen_ai.openai.",
    "gen_ai.latency.",
    "llm.request.",
    "llm.response.",
    "llm.prompts",
    "llm.completions",
    "llm.input_messages",
    "llm.output_messages",
    "llm.invocation_parameters",
    "ai.prompt",
    "ai.response.",
    "ai.settings.",
    "embedding.",
    "reranker.",
)
"""Beginnings of the names of attributes that only an LLM call has."""
_ANSWERED = (
    "gen_ai.response.finish",
    "gen_ai.response.id",
    "gen_ai.completion",
    "gen_ai.output.messages",
    "llm.completions",
    "llm.output_messages",
    "ai.response.",
)
"""Beginnings of the names of attributes that hold an LLM's answer."""
_NO_DETAILS = ("gen_ai.request.model", "gen_ai.response.model", "llm.request.model")
MODEL_NAME_ONLY = "model name without a call"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a span.

    Attributes:
        names: of its attributes. name: of the span.
        kind: its role by an attribute for the kind of span. operation: its role by the name of its
            operation, `operation_named`. None where there is no such attribute, or it is unknown.
        llm: the model that it names. tokens: whether it counts any.
    """

    names: tuple[str, ...]
    kind: Role | None
    operation: Role | None
    operation_named: str | None
    name: str | None
    llm: str | None
    tokens: bool


def weigh(found: Evidence) -> tuple[Endpoint, bool] | str:
    """For an LLM call, its endpoint and whether the evidence is weak (`LlmRequest.weak`); for any
    other span, the kind of span in words.
    """
    carrier = transport(found.names)
    if carrier in ("database", "messaging"):
        return carrier
    role_found = found.kind or found.operation
    if role_found is not None and role_found.endpoint is None:
        return role_found.kind
    if found.kind is not None and found.kind.endpoint is not None:
        return found.kind.endpoint, False
    if role_found is not None and role_found.endpoint is not None:
        return role_found.endpoint, carrier is not None and found.llm is not None
    return _without_operation(found, carrier)


def _without_operation(found: Evidence, carrier: str | None) -> tuple[Endpoint, bool] | str:
    by_name = role(found.name)
    endpoint = (None if by_name is None else by_name.endpoint) or "chat"
    sure = by_name is not None and by_name.endpoint is not None and carrier is None
    if found.tokens:
        return endpoint, not sure
    if carrier is not None:
        return carrier
    if by_name is not None and by_name.endpoint is None:
        return by_name.kind
    if found.operation_named is not None:
        if found.llm is not None and any(name.startswith(_ANSWERED) for name in found.names):
            return endpoint, True
        return f"operation {found.operation_named!r}, which counts no tokens"
    if found.llm is None:
        return "other"
    if _details(found.names) or names_an_operation(found.name or ""):
        return endpoint, not sure
    return MODEL_NAME_ONLY


def _details(names: tuple[str, ...]) -> bool:
    return any(name.startswith(_DETAILS) and name not in _NO_DETAILS for name in names)
