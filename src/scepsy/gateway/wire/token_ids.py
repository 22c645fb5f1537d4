"""Large prompts of token ids, read without an object for each number.

Twenty megabytes of ids would become 850 MB of integers and hold up all other calls for seconds.
"""

from __future__ import annotations

import msgspec

from scepsy.gateway.wire.lenient_json import Json, parse

LARGE_BODY = 1 << 20
"""Bytes of a body from which on its token ids are read so."""

_LARGE_VALUE = 64 << 10
_PROMPTS = ("prompt", "input", "inputs")
_DIGITS_AND_SPACE = b"0123456789, \t\r\n"
_SPACE = b" \t\r\n"
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class TokenIds(str):
    """Token ids as the numbers that a prompt of them is written as, each with a space behind it."""

    __slots__ = ()

    @property
    def tokens(self) -> int:
        """How many there are."""
        return self.count(" ")


def parse_large(body: bytes) -> Json:
    """As `parse`, with large lists of token ids as TokenIds. Raises ValueError as `parse` does."""
    try:
        fields = _fields_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return parse(body)
    return {name: _value(name, bytes(raw)) for name, raw in fields.items()}


def _value(name: str, raw: bytes) -> Json:
    if name in _PROMPTS and len(raw) > _LARGE_VALUE:
        shape = raw.translate(None, _DIGITS_AND_SPACE)
        if shape == b"[]":
            return _ids(raw.translate(None, _SPACE)[1:-1])
        if shape == b"[" + b"[]" * (len(shape) // 2 - 1) + b"]":
            inner = raw.translate(None, _SPACE)[2:-2].split(b"],[")
            return [_ids(one) for one in inner]
    return parse(raw)


def _ids(commas: bytes) -> TokenIds:
    written = commas.replace(b",", b" ")
    return TokenIds((written + b" " if written else b"").decode("ascii"))
