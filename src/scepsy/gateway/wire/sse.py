"""Server-sent events as bytes: where one ends, its data, and whether it holds only usage."""

from __future__ import annotations

import re
from itertools import pairwise

import msgspec

# A blank line ends an event. Lines end with LF, CRLF or CR, and a stream may mix them. LF CR is an
# end only once the next byte is known not to be the LF of a CRLF.
_END = re.compile(rb"\n\r?\n|\r\r\n?|\n\r(?=[^\n])")
_LONGEST_END = 4  # bytes of CRLF CRLF
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
EVENT_BYTES_MAX = 16 << 20
"""Of one event: an image in base64 has a few MB."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw]
    usage: dict[str, msgspec.Raw]


_chunk_decoder = msgspec.json.Decoder(_Chunk)


class EventTooLarge(Exception):
    """A stream has sent more bytes than an event may have, and none that end it."""


class EventSplitter:
    """Cuts a stream of bytes into whole events; no byte is lost or changed. The time that it takes
    grows with the bytes, not with the number of pieces in which they come.

    Attributes:
        rest: the bytes after the last whole event.
        most: how many bytes an event may have.
    """

    def __init__(self, most: int = EVENT_BYTES_MAX) -> None:
        self.rest = bytearray()
        self.most = most

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that this chunk completes, each with the blank line that ends it. Raises
        EventTooLarge.
        """
        rest = self.rest
        if not rest and chunk.find(b"\n\n") == len(chunk) - 2 >= 0 and b"\r" not in chunk:
            return [chunk]  # one whole event, which is nearly always so
        searched = max(0, len(rest) - _LONGEST_END + 1)  # an end may have begun before
        rest += chunk
        ends = [end.end() for end in _END.finditer(rest, searched)]
        events = [bytes(rest[start:end]) for start, end in pairwise((0, *ends))]
        if ends:
            del rest[: ends[-1]]
        if len(rest) > self.most:
            raise EventTooLarge(f"an event is larger than {self.most} bytes")
        return events

    def take_rest(self) -> bytes:
        """The bytes after the last whole event, once the stream has ended."""
        rest = bytes(self.rest)
        self.rest.clear()
        return rest


def read_event(event: bytes) -> tuple[bytes, bool]:
    """The data of an event (its `data:` lines, joined by line feeds), and whether an `event:` line
    names it "error".
    """
    if event.startswith(b"data:"):
        one = event[5:].strip()
        if b"\n" not in one and b"\r" not in one:  # one line, which is nearly always so
            return one, False
    lines = event.removeprefix(_BYTE_ORDER_MARK).splitlines()
    data = [line[5:].strip() for line in lines if line.startswith(b"data:")]
    names = [line[6:].strip() for line in lines if line.startswith(b"event:")]
    return b"\n".join(data), b"error" in names


def data_of(event: bytes) -> bytes:
    """The event's `data:` lines, joined by line feeds."""
    return read_event(event)[0]


def is_usage_only(event: bytes) -> bool:
    """Whether this is the extra event that `include_usage` asks for: usage, and no choices."""
    if b'"usage"' not in event or not (_NO_CHOICES.search(event) and _USAGE.search(event)):
        return False
    try:
        return not _chunk_decoder.decode(data_of(event)).choices
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def event_of(data: bytes) -> bytes:
    """An event that carries `data`, which has no line breaks."""
    return b"data: " + data + b"\n\n"
