"""Whether a span is an LLM call: what speaks for it, what against.

A model's name alone proves nothing: gateways stamp it on the spans of their HTTP servers, caches
and databases. Nor is there a list of all operations: a name that nobody knew still is an LLM call
where tokens were counted.
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
"""Heads of attributes that only somebody who makes an LLM call can tell."""
_ANSWERED = (
    "gen_ai.response.finish",
    "gen_ai.response.id",
    "gen_ai.completion",
    "gen_ai.output.messages",
    "llm.completions",
    "llm.output_messages",
    "ai.response.",
)
"""Heads of attributes that tell an LLM's answer."""
_NO_DETAILS = ("gen_ai.request.model", "gen_ai.response.model", "llm.request.model")
MODEL_NAME_ONLY = "model name without a call"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a span.

    Attributes:
        names: of its attributes. name: its own.
        kind: its role by an attribute that is made to tell it; operation: by its operation's name,
            `operation_named`. None where they say nothing.
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
    """The endpoint of an LLM call, and whether the evidence is weak (then it is no call of its own
    where another LLM call is inside or around it); for any other span, of which kind it is.
    """
    carrier = transport(found.names)
    if carrier in ("database", "messaging"):
        return carrier
    told = found.kind or found.operation
    if told is not None and told.endpoint is None:
        return told.kind
    if found.kind is not None and found.kind.endpoint is not None:
        return found.kind.endpoint, False
    if told is not None and told.endpoint is not None:
        return told.endpoint, carrier is not None and found.llm is not None
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
