"""JSON values in a file, however they stand there: one document, one a line, or several after one
another over many lines, with other output between them, as console exporters write them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import msgspec

from scepsy.convert import Findings
from scepsy.errors import BadInput
from scepsy.store.files import bounded_line
from scepsy.store.js_literals import JsLiteralError, parse_js

_SPACE = b"\xef\xbb\xbf \r\n\t\x1e\0"
"""Around values: white space, byte order marks, the record separators of JSON text sequences
(RFC 7464), and the zero bytes that a crash leaves at the end of a file.
"""
_PREFIX_MAX = 200
"""Bytes that may stand before the JSON of a log line: time, level and name of a logger."""
DOCUMENT_BYTES_MAX = 2 << 30
"""Bytes of the largest JSON document, which may be one line. It is held in memory."""
_NO_JSON = "no JSON"
_decoder = json.JSONDecoder()


class _NotJsonError(Exception):
    """A text is not one JSON value."""


def json_values(
    path: Path, file: io.BufferedReader[io.RawIOBase], findings: Findings
) -> Iterator[tuple[str, object]]:
    """Places (":12", or "" for a whole document) and values.

    Raises BadInput where the whole file is one document that is damaged.
    """
    first = b""
    at = 0
    while line := bounded_line(path, file, DOCUMENT_BYTES_MAX):
        at += 1
        if line.strip(_SPACE):
            first = line.strip(_SPACE) + b"\n"
            break
    with suppress(_NotJsonError):
        value = _decoded(first)
        following = _next_line(path, file)
        if following is None:
            yield "", value
            return
        yield f":{at}", value
        yield from _lines(path, file, at, following, findings)
        return
    text = (b"\n" * (at - 1) + first + whole(path, file)).rstrip(_SPACE)
    with suppress(_NotJsonError):
        yield "", _decoded(text)
        return
    yield from _scattered(path, text.decode("utf-8", "replace"), findings)


def whole(path: Path, file: io.BufferedReader[io.RawIOBase]) -> bytes:
    """The rest of a file that is held in memory. Raises BadInput where it is too large for that."""
    rest = file.read(DOCUMENT_BYTES_MAX + 1)
    if len(rest) > DOCUMENT_BYTES_MAX:
        raise BadInput(
            f"{path}: one JSON document of more than {DOCUMENT_BYTES_MAX / 2**20:g} MiB, which "
            "would be held in memory: export JSON lines or CSV instead"
        )
    return rest


def _next_line(path: Path, file: io.BufferedReader[io.RawIOBase]) -> tuple[int, bytes] | None:
    skipped = 0
    while line := bounded_line(path, file, DOCUMENT_BYTES_MAX):
        skipped += 1
        if line.strip(_SPACE):
            return skipped, line
    return None


def _lines(
    path: Path,
    file: io.BufferedReader[io.RawIOBase],
    at: int,
    following: tuple[int, bytes],
    findings: Findings,
) -> Iterator[tuple[str, object]]:
    """One value a line; where a line holds none, the rest is read as scattered values."""
    at += following[0]
    line: bytes = following[1]
    while line:
        if line.strip(_SPACE):
            try:
                yield f":{at}", _decoded(line)
            except _NotJsonError as error:
                if line.strip() in (b"{", b"["):
                    rest = (b"\n" * (at - 1) + line + whole(path, file)).decode("utf-8", "replace")
                    yield from _scattered(path, rest, findings)
                    return
                findings.leave_out(f"not valid JSON, or cut off: {error}", f"{path}:{at}")
        line = bounded_line(path, file, DOCUMENT_BYTES_MAX)
        at += 1


def _decoded(content: bytes) -> object:
    """A JSON value; NaN and infinities, which some programs write, too. Raises _NotJsonError."""
    content = content.strip(_SPACE)
    try:
        value = cast(object, msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as strict:
        try:
            value = cast(object, json.loads(content.decode("utf-8", "replace")))
        except (ValueError, RecursionError):
            if (inner := after_prefix(content)) is not None:
                return _decoded(inner)
            raise _NotJsonError(str(strict)) from None
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):  # JSON as text in JSON
        with suppress(ValueError, RecursionError):
            return cast(object, json.loads(value))
    return value


def after_prefix(line: bytes) -> bytes | None:
    """The JSON object at the end of a log line (`2026-11-01 10:00:00 INFO {"a": 1}`) or of an event
    (`data: {"a": 1}`); None where there is none. A cell of a CSV has its quotes doubled.
    """
    line = line.strip(_SPACE)
    start = line.find(b'{"', 1, _PREFIX_MAX)
    whole = start > 0 and line.endswith(b"}") and line[start + 2 : start + 3] != b'"'
    plain = line[:1] not in b'{["' and b'"' not in line[:start]
    return line[start:] if whole and plain else None


def _scattered(path: Path, text: str, findings: Findings) -> Iterator[tuple[str, object]]:
    """Values one after another, each beginning a line. What does not decode is left out, up to the
    next line that begins with a bracket. Raises BadInput where there is none at all.
    """
    at, count, problem = 0, 0, ""
    while (start := _next_start(text, at)) is not None:
        if text[at:start].strip(" \t\r\n,;]"):
            findings.leave_out("lines that are no JSON", f"{path}:{_line(text, start)}")
        try:
            value, at = _value(text, start)
        except _NotJsonError as error:
            problem = problem or str(error)
            findings.leave_out(
                f"not valid JSON, or cut off: {error}", f"{path}:{_line(text, start)}"
            )
            at = _next_outer(text, start)
            continue
        count += 1
        yield f":{_line(text, start)}", value
    if not count:
        raise BadInput(f"{path}: not valid JSON, or cut off: {problem or _NO_JSON}")


def _next_outer(text: str, at: int) -> int:
    """The next line that begins with a bracket, not indented: the next value's, not a part's."""
    found = [one for bracket in "{[" if (one := text.find(f"\n{bracket}", at)) >= 0]
    return min(found) + 1 if found else len(text)


def _next_start(text: str, at: int) -> int | None:
    """Where the next line, or the rest of this one, begins with a bracket."""
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end]
        inner = line.lstrip(" \t\r,;")
        if inner[:1] in ("{", "[") and inner:
            return at + len(line) - len(inner)
        at = end + 1
    return None


def _value(text: str, start: int) -> tuple[object, int]:
    try:
        value, end = _decoder.raw_decode(text, start)
    except (ValueError, RecursionError) as strict:
        try:
            return parse_js(text, start)
        except JsLiteralError:
            raise _NotJsonError(str(strict)) from None
    return cast(object, value), end


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
