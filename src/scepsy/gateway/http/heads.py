"""Heads of HTTP messages: how large they may be, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus

from multidict import CIMultiDict

HEADER_BYTES_MAX = 64 << 10
"""Of one header, or of the request line: tokens, cookies and baggage grow beyond the usual 8 kB."""

HEADERS_MAX = 256
_HEAD_BYTES_MAX = 512 << 10
"""Of a whole head, in bytes that were received until it ended."""

Headers = Sequence[tuple[str, str]]
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


class HeadTooLarge(Exception):
    """A head exceeds a limit."""


class Head:
    """The head of a message that arrives. Bytes from 0x80 are kept: they become surrogates where
    they are not UTF-8, and bytes again where the head is written.
    """

    __slots__ = ("_received", "lines")

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._received = 0

    def received(self, count: int) -> None:
        """Counts bytes that came before the head ended. Raises HeadTooLarge."""
        self._received += count
        if self._received > _HEAD_BYTES_MAX:
            raise HeadTooLarge(f"the head is longer than {_HEAD_BYTES_MAX} bytes")

    def add(self, name: bytes, value: bytes) -> None:
        """Adds a header. Raises HeadTooLarge."""
        if len(name) + len(value) > HEADER_BYTES_MAX:
            raise HeadTooLarge(
                f"the request line or a header is longer than {HEADER_BYTES_MAX} bytes"
            )
        if len(self.lines) >= HEADERS_MAX:
            raise HeadTooLarge(f"there are more than {HEADERS_MAX} headers")
        self.lines.append((name.decode("latin-1"), value.decode("utf-8", "surrogateescape")))

    def headers(self) -> CIMultiDict[str]:
        return CIMultiDict(self.lines)


def head_bytes(first_line: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A whole head with the empty line that ends it. Raises ValueError where a name or a value
    would break out of its line, or has no bytes.
    """
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    text = f"{first_line}\r\n{''.join(lines)}\r\n"
    ends = len(lines) + 2
    if text.count("\n") != ends or text.count("\r") != ends or "\0" in text:
        raise ValueError("a header must not contain line breaks or NUL")
    return text.encode("utf-8", "surrogateescape")


def status_line(status: int, reason: str | None) -> str:
    """The first line of an answer."""
    return f"HTTP/1.1 {status} {_PHRASES.get(status, '') if reason is None else reason}"
