"""JavaScript's own notation of objects, as `console.dir` writes it: OpenTelemetry's console
exporter for JavaScript prints spans so (unquoted names, single quotes, `undefined`, `[Object]`).
"""

from __future__ import annotations

import re
from typing import cast

_DEPTH_MAX = 40
_NAME = re.compile(r"[A-Za-z_$][\w$]*|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|\[[\w.()]+\]")
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`(?:[^`\\]|\\.)*`", re.DOTALL)
_ATOM = re.compile(r"[^\s,\]}]+")
_SPACE = re.compile(r"\s*")
_MARK = re.compile(r"\[(?:Object|Array|Function|Circular|class)[^\]]*\]|\.\.\. \d+ more [a-z]+")
_CLASS = re.compile(r"[A-Z]\w*(?:\(\d+\))?\s*(?=[{\[])")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": ""}
_WORDS: dict[str, object] = {"true": True, "false": False, "null": None, "undefined": None}


class JsLiteralError(ValueError):
    """A text is no JavaScript object or array."""


def parse_js(text: str, at: int) -> tuple[object, int]:
    """The value that begins at `at`, and where it ends. Raises JsLiteralError."""
    value, end = _value(text, at, 0)
    if not isinstance(value, dict | list):
        raise JsLiteralError(f"no object at {at}")
    return cast(object, value), end


def _value(text: str, at: int, depth: int) -> tuple[object, int]:
    if depth > _DEPTH_MAX:
        raise JsLiteralError(f"too deep at {at}")
    at = _skip(text, at)
    if (mark := _MARK.match(text, at)) is not None:
        return None, mark.end()
    if (named := _CLASS.match(text, at)) is not None:
        at = named.end()
    if text[at : at + 1] == "{":
        return _object(text, at + 1, depth)
    if text[at : at + 1] == "[":
        return _array(text, at + 1, depth)
    if (quoted := _TEXT.match(text, at)) is not None:
        return _joined(text, quoted)
    if (atom := _ATOM.match(text, at)) is not None:
        return _atom(atom[0]), atom.end()
    raise JsLiteralError(f"nothing at {at}")


def _object(text: str, at: int, depth: int) -> tuple[dict[str, object], int]:
    found: dict[str, object] = {}
    while True:
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return found, at + 1
        if (mark := _MARK.match(text, at)) is not None:
            at = mark.end()
            continue
        name = _NAME.match(text, at)
        if name is None or text[(colon := _skip(text, name.end())) : colon + 1] != ":":
            raise JsLiteralError(f"no name at {at}")
        value, at = _value(text, colon + 1, depth + 1)
        key = name[0]
        found[_unquoted(key) if key[0] in "'\"" else key] = value
        at = _separator(text, at, "}")


def _array(text: str, at: int, depth: int) -> tuple[list[object], int]:
    found: list[object] = []
    while True:
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return found, at + 1
        value, at = _value(text, at, depth + 1)
        found.append(value)
        at = _separator(text, at, "]")


def _joined(text: str, quoted: re.Match[str]) -> tuple[str, int]:
    """A text; long ones are split with `+` over several lines."""
    whole, at = _unquoted(quoted[0]), quoted.end()
    while text[(plus := _skip(text, at)) : plus + 1] == "+":
        more = _TEXT.match(text, _skip(text, plus + 1))
        if more is None:
            raise JsLiteralError(f"no text at {plus}")
        whole, at = whole + _unquoted(more[0]), more.end()
    return whole, at


def _separator(text: str, at: int, close: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == ",":
        return at + 1
    if text[at : at + 1] != close:
        raise JsLiteralError(f"neither comma nor {close} at {at}")
    return at


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _unquoted(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), quoted[1:-1], flags=re.DOTALL)


def _atom(word: str) -> object:
    if word in _WORDS:
        return _WORDS[word]
    number = word.removesuffix("n").replace("_", "")  # 12n is a BigInt
    try:
        return int(number)
    except ValueError:
        pass
    try:
        return float(number)
    except ValueError:
        return word
