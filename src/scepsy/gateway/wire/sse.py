"""Server-sent events as bytes: where one ends, what it carries, which one is only about usage."""

from __future__ import annotations

import re

import msgspec

_END = re.compile(rb"\n\n|\r\n\r\n|\r\r")
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw]
    usage: dict[str, msgspec.Raw]


_chunk_decoder = msgspec.json.Decoder(_Chunk)


class EventSplitter:
    """Cuts a stream of bytes into whole events; nothing is lost or changed.

    `rest` is what has come since the last whole event.
    """

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that this chunk completes, each with the blank line that ends it."""
        seen = max(0, len(self.rest) - 3)  # an end may begin in what is there already
        content = self.rest + chunk if self.rest else chunk
        events: list[bytes] = []
        start = 0
        for end in _END.finditer(content, seen):
            events.append(content[start : end.end()])
            start = end.end()
        self.rest = content[start:]
        return events


def data_of(event: bytes) -> bytes:
    """What the event carries: its `data:` lines."""
    if event.startswith(b"data:") and event.count(b"\n") <= 2:
        return event[5:].strip()
    lines = (line for line in event.splitlines() if line.startswith(b"data:"))
    return b"\n".join(line[5:].strip() for line in lines)


def is_usage_only(event: bytes) -> bool:
    """Whether this is the extra event that `include_usage` asks for."""
    if b'"usage"' not in event or not (_NO_CHOICES.search(event) and _USAGE.search(event)):
        return False
    try:
        return not _chunk_decoder.decode(data_of(event)).choices
    except msgspec.DecodeError:
        return False


def event_of(data: bytes) -> bytes:
    """An event that carries `data`, which has no line breaks."""
    return b"data: " + data + b"\n\n"
