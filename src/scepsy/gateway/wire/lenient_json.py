"""JSON as others send it: any value, read leniently."""

from __future__ import annotations

import json
from typing import TypeAlias

import msgspec

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def parse(content: bytes) -> Json:
    """Raises ValueError where this is not JSON.

    What Python's own reader takes beyond the standard (NaN, lone surrogates) is taken too: whether
    it makes sense is the engine's to say.
    """
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(content)


def members(value: Json) -> dict[str, Json]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def elements(value: Json) -> list[Json]:
    """The value where it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Json) -> str | None:
    """The value where it is a string with something in it."""
    return value if isinstance(value, str) and value else None
