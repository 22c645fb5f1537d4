"""Reads JSON leniently: any value, as other programs send it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# A token count above this is nonsense: no LLM reads or writes as much in one call.
COUNT_MAX = 100_000_000

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class JsonObject:
    """A JSON object whose values are decoded one by one when they are asked for. Large values that
    are not needed cost nothing, and an invalid value does not prevent reading the others.
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
        """The decoded value; None if it is missing, null or unreadable."""
        value = self._values.get(name)
        if not isinstance(value, msgspec.Raw):
            return value
        try:
            return parse_any_encoding(bytes(value))
        except ValueError:
            return None

    def raw(self, name: str) -> bytes:
        """The value's own bytes; empty if it is missing or null."""
        value = self._values.get(name)
        encoded = bytes(value) if isinstance(value, msgspec.Raw) else compact(value).encode("utf-8")
        return b"" if encoded == b"null" else encoded


def read_object(content: bytes) -> JsonObject | None:
    """None if the content is not a JSON object, even for a lenient reader."""
    try:
        return JsonObject(_object_decoder.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return read_small_object(content)


def read_small_object(content: bytes) -> JsonObject | None:
    """The same, decoded at once: faster if there are no large values, as in an event."""
    try:
        value = parse_any_encoding(content)
    except ValueError:
        return None
    return JsonObject(value) if isinstance(value, dict) else None


def parse(content: bytes) -> Json:
    """Raises ValueError if this is not JSON, or nested too deeply to be read.

    What Python's own reader accepts beyond the standard (NaN, lone surrogates) is accepted, too:
    the engine decides about it.
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
    """As `parse`, with bytes that are not UTF-8 replaced. Raises ValueError as `parse` does."""
    try:
        return parse(content)
    except UnicodeDecodeError:
        return parse(content.decode("utf-8", "replace").encode())


def members(value: Json) -> dict[str, Json]:
    """The value if it is an object, otherwise an empty object."""
    return value if isinstance(value, dict) else {}


def elements(value: Json) -> list[Json]:
    """The value if it is an array, otherwise an empty array."""
    return value if isinstance(value, list) else []


def text(value: Json) -> str | None:
    """The value if it is a non-empty string."""
    return value if isinstance(value, str) and value else None


def identifier(value: Json) -> str | None:
    """An id: a non-empty string, or an integer as its digits."""
    return str(value) if type(value) is int else text(value)


def count(value: Json) -> int | None:
    """A count of tokens: 11, 11.0 and "11" are eleven; None for anything that is not a count."""
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
