"""Reads an engine's answer, whole or streamed: the time of its first byte, and its token counts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp
import msgspec

from scepsy.errors import EngineFailed

_TAIL = 8192
"""Bytes kept of the end of a stream. They hold its last events, one of which has the usage."""


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Body(msgspec.Struct):
    usage: _Usage | None = None


_decoder = msgspec.json.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """The token counts of an answer. `first_byte` is when its first byte came, in seconds on the
    event loop's clock; None where the answer was not streamed.
    """

    first_byte: float | None
    output_tokens: int
    prompt_tokens: int
    cached_tokens: int


async def read_answer(response: aiohttp.ClientResponse) -> TimedAnswer:
    """Reads an answer to its last byte. Events are not parsed as they come: at thousands of events
    per second, this process would be slower than the engine that it measures.

    Raises EngineFailed for an answer that is not in OpenAI's format, or a stream without usage.
    """
    if response.content_type != "text/event-stream":
        return _answer(_decode(await response.read()) or _Usage(), None)
    first: float | None = None
    tail = b""
    async for chunk in response.content.iter_any():
        if first is None:
            first = asyncio.get_running_loop().time()
        tail = (tail + chunk)[-_TAIL:]
    for line in reversed(tail.splitlines()):
        if line.startswith(b"data: {") and (usage := _decode(line[6:])) is not None:
            return _answer(usage, first)
    raise EngineFailed(f"an answer ended without its usage: {tail[-300:].decode(errors='replace')}")


def _decode(body: bytes) -> _Usage | None:
    try:
        return _decoder.decode(body).usage
    except msgspec.MsgspecError as error:
        start = body[:300].decode(errors="replace")
        raise EngineFailed(f"an answer is not in OpenAI's format ({error}): {start}") from error


def _answer(usage: _Usage, first: float | None) -> TimedAnswer:
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens or 0) if details else 0
    return TimedAnswer(first, usage.completion_tokens, usage.prompt_tokens, cached)
