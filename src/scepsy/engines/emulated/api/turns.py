"""Converts the input of /v1/responses to the messages of a chat."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from scepsy.engines.emulated.api.chat import ContentPart, Message
from scepsy.engines.emulated.wire.errors import RequestRefused


class Item(msgspec.Struct):
    """A message, a call of a tool, or the result of one."""

    type: str = "message"
    role: str | None = None
    content: str | list[ContentPart] | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[ContentPart] | None = None


def turns_of(given: str | Sequence[Item], instructions: str | None) -> list[Message]:
    """The messages of an input. Raises RequestRefused for items that are not emulated."""
    items = [Item(role="user", content=given)] if isinstance(given, str) else given
    turns = [Message("system", instructions)] if instructions else []
    return turns + [_turn(item) for item in items if item.type != "reasoning"]


def _turn(item: Item) -> Message:
    match item.type:
        case "function_call":
            return Message("assistant", f"{item.name}({item.arguments})")
        case "function_call_output":
            return Message("tool", item.output)
        case "message" if item.role is not None:
            return Message(item.role, item.content)
        case other:
            raise RequestRefused(f"input of type {other!r} is not emulated", param="input")
