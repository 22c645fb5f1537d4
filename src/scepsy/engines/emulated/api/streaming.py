"""Streams the answers of chat and completions as server-sent events."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from scepsy.engines.emulated.served import AnswerChoice, Increment, ServedLlm, usage_of
from scepsy.engines.emulated.wire.bodies import DONE, event, open_stream

Render = Callable[[Increment], list[dict[str, object]]]
"""Makes the entries of `choices` for an increment, one for each chunk."""


async def stream_choices(
    request: web.Request,
    llm: ServedLlm,
    choices: Sequence[AnswerChoice],
    head: dict[str, object],
    render: Render,
    *,
    include_usage: bool,
) -> web.StreamResponse:
    """Streams one chunk for each token, and then the usage if the request asks for it."""
    response = await open_stream(request)
    cached = [0] * len(choices)
    async for new in llm.increments(choices):
        if new.cached_tokens is not None:
            cached[new.choice.index] = new.cached_tokens
        chunks = [event({**head, "choices": [entry]}) for entry in render(new)]
        await response.write(b"".join(chunks))
    usage: dict[str, object] = {**head, "choices": [], "usage": usage_of(choices, cached).wire()}
    await response.write((event(usage) if include_usage else b"") + DONE)
    return response
