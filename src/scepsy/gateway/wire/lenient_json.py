"""JSON as others send it: any value, read leniently."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# Above this a token count is nonsense, whoever reports it; it also keeps sums within 64 bits.
COUNT_MAX = 1 << 40

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class JsonObject:
    """A JSON object whose values are decoded one by one, as they are asked for: large values that
    nobody asks for cost nothing, and an odd value is never why another cannot be read.
    """

    def __init__(self, values: Mapping[str, msgspec.Raw | Json]) -> None:
        self._values = values

    def lacks_all(self, names: frozenset[str]) -> bool:
        """Whether none of these names is there."""
        return names.isdisjoint(self._values)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def has(self, name: str) -> bool:
        """Whether there is a value, and it is not null."""
        value = self._values.get(name)
        if not isinstance(value, msgspec.Raw):
            return value is not None
        return memoryview(value).nbytes != len(b"null") or bytes(value) != b"null"

    def value(self, name: str) -> Json:
        """The decoded value; None where it is missing, null or unreadable."""
        value = self._values.get(name)
        if not isinstance(value, msgspec.Raw):
            return value
        try:
            return parse_any_encoding(bytes(value))
        except ValueError:
            return None

    def raw(self, name: str) -> bytes:
        """The value's own bytes; empty where it is missing or null."""
        value = self._values.get(name)
        encoded = bytes(value) if isinstance(value, msgspec.Raw) else compact(value).encode("utf-8")
        return b"" if encoded == b"null" else encoded


def read_object(content: bytes) -> JsonObject | None:
    """None where the content is no JSON object, even for a lenient reader."""
    try:
        return JsonObject(_object_decoder.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return read_small_object(content)


def read_small_object(content: bytes) -> JsonObject | None:
    """The same, decoded at once: faster for what has no large values, such as one event."""
    try:
        value = parse_any_encoding(content)
    except ValueError:
        return None
    return JsonObject(value) if isinstance(value, dict) else None


def parse(content: bytes) -> Json:
    """Raises ValueError where this is not JSON, or nested deeper than can be read.

    What Python's own reader takes beyond the standard (NaN, lone surrogates) is taken too: whether
    it makes sense is the engine's to say.
    """
    try:
        return msgspec.json.decode(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_any_encoding(content: bytes) -> Json:
    """As `parse`, with bytes that are not UTF-8 replaced. Raises ValueError likewise."""
    try:
        return parse(content)
    except UnicodeDecodeError:
        return parse(content.decode("utf-8", "replace").encode())


def members(value: Json) -> dict[str, Json]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def elements(value: Json) -> list[Json]:
    """The value where it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Json) -> str | None:
    """The value where it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def identifier(value: Json) -> str | None:
    """An id: a string with something in it, or an integer as its digits."""
    return str(value) if type(value) is int else text(value)


def count(value: Json) -> int | None:
    """A count of tokens: 11, 11.0 and "11" are eleven; None for anything that counts nothing."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 16 else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if value is None or isinstance(value, bool | list | dict):
        return None
    return value if 0 <= value <= COUNT_MAX else None


def compact(value: Json) -> str:
    """The value as JSON without white space."""
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, OverflowError):  # a lone surrogate, an integer beyond 64 bits
        return json.dumps(value, separators=(",", ":"))
