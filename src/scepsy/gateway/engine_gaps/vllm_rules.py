"""Rules of vLLM that other engines do not apply: requests that vLLM refuses and they accept."""

from __future__ import annotations

from typing import TypeGuard

from scepsy.gateway.wire.errors import ErrorAnswer, malformed
from scepsy.gateway.wire.lenient_json import Json, elements, members, text
from scepsy.gateway.wire.requests import ApiRequest

_LIMITS = ("max_tokens", "max_completion_tokens")


def refused_by_vllm(asked: ApiRequest) -> ErrorAnswer | None:
    """The error for an empty list of messages, a message without a role, a token limit below one or
    a negative temperature; None if vLLM would accept the request.

    Unknown roles pass, as with vLLM: chat templates may define roles.
    """
    if asked.endpoint not in ("chat", "completions"):
        return None
    if asked.endpoint == "chat" and (why := _bad_messages(asked.fields.get("messages"))):
        return malformed(why, "messages")
    least = 0 if asked.fields.get("echo") is True else 1  # a prompt may be scored without output
    for name in _LIMITS:
        limit = asked.fields.get(name)
        if _is_number(limit) and limit < least:
            return malformed(f"`{name}` must be at least {least}, not {limit}", name)
    temperature = asked.fields.get("temperature")
    if _is_number(temperature) and temperature < 0:
        return malformed(f"`temperature` must not be negative, as {temperature} is", "temperature")
    return None


def asks_too_much(asked: ApiRequest, prompt_tokens: int, context: int) -> ErrorAnswer | None:
    """The error if prompt and wanted output together exceed the context; None if they fit."""
    limit = asked.max_tokens
    if limit is None or prompt_tokens + limit <= context:
        return None
    return malformed(
        f"the context has {context} tokens: {prompt_tokens} of the prompt and {limit} of "
        "`max_tokens` do not fit; shorten one of them",
        "max_tokens",
    )


def _bad_messages(said: Json) -> str | None:
    if not isinstance(said, list) or not said:
        return "`messages` must be a list with at least one message"
    for index, message in enumerate(elements(said)):
        if text(members(message).get("role")) is None:
            return f"messages[{index}] must be an object with a role"
    return None


def _is_number(value: Json) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
