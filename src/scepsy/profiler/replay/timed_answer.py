"""Reads an engine's answer, whole or streamed: when it began, and how many tokens it took."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp
import msgspec

from scepsy.errors import EngineFailed

_TAIL = 8192
"""Bytes from the end of a stream that are sure to hold its last events, of which one has the usage.
"""


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
    """`first_byte` is the event loop's time, None where the answer was not streamed."""

    first_byte: float | None
    output_tokens: int
    prompt_tokens: int
    cached_tokens: int


async def read_answer(response: aiohttp.ClientResponse) -> TimedAnswer:
    """To the last byte. Events are not parsed as they come: at thousands a second that would make
    this process the one that is measured.

    Raises EngineFailed for what is no OpenAI answer, or a stream that ends without its usage.
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
        said = body[:300].decode(errors="replace")
        raise EngineFailed(f"an engine gave no OpenAI answer ({error}): {said}") from error


def _answer(usage: _Usage, first: float | None) -> TimedAnswer:
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens or 0) if details else 0
    return TimedAnswer(first, usage.completion_tokens, usage.prompt_tokens, cached)
