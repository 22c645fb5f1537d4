"""Hands an answer to the caller: in one piece, or event by event as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aiohttp import web
from multidict import CIMultiDict

from scepsy.gateway.recording.exchange import Exchange
from scepsy.gateway.upstreams.relay import BrokenOff, Reply
from scepsy.gateway.upstreams.rewriting import headers_for_caller
from scepsy.gateway.wire.answers import error_message, is_openai_error
from scepsy.gateway.wire.errors import ErrorAnswer, broken_off
from scepsy.gateway.wire.sse import EventSplitter, data_of, event_of, is_usage_only


def refuse(refusal: ErrorAnswer, exchange: Exchange | None = None) -> web.Response:
    """The gateway's own error, noted in the exchange that it ends."""
    if exchange is not None:
        exchange.fail(refusal.status, refusal.message)
    return web.Response(status=refusal.status, body=refusal.body(), content_type="application/json")


def whole(reply: Reply, exchange: Exchange) -> web.Response:
    """The answer, once it is all there."""
    exchange.status = reply.status
    reply.upstream.count(reply.status)
    exchange.keep(reply.first)
    if reply.status >= 400:
        exchange.error = error_message(reply.status, reply.first)
        if not (reply.is_encoded or is_openai_error(reply.first)):
            return _reworded(reply, exchange.error)
    elif exchange.answer is not None:
        exchange.answer.read_whole(reply.first)
    return web.Response(
        status=reply.status,
        reason=reply.response.reason,
        body=reply.first,
        headers=_headers(reply),
    )


def _reworded(reply: Reply, message: str) -> web.Response:
    """An engine's error in OpenAI's shape, where the engine has one of its own."""
    headers = _headers(reply)
    headers.popall("Content-Type", None)
    return web.Response(
        status=reply.status,
        reason=reply.response.reason,
        body=ErrorAnswer(reply.status, message, "engine_error").body(),
        headers=headers,
        content_type="application/json",
    )


async def stream(
    request: web.Request,
    reply: Reply,
    exchange: Exchange,
    clock: Callable[[], float],
    *,
    hide_usage: bool,
) -> web.StreamResponse:
    """Passes events on until the answer ends. `hide_usage` drops the event that we asked for.

    Where the upstream dies, an error event follows the last whole event.
    """
    response = web.StreamResponse(
        status=reply.status, reason=reply.response.reason, headers=_headers(reply)
    )
    exchange.status = reply.status
    splitter = EventSplitter()
    chunk = reply.first
    try:
        await response.prepare(request)
        try:
            while chunk:
                now = clock()
                events = [chunk] if reply.is_encoded else splitter.feed(chunk)
                passed = b"".join(_noted(events, exchange, now, hide_usage=hide_usage))
                if passed:
                    await response.write(passed)
                chunk = await reply.more()
            reply.upstream.count(reply.status)
            if splitter.rest:
                await response.write(splitter.rest)
        except BrokenOff as error:
            reply.upstream.broke_off()
            refusal = broken_off(reply.upstream.name, str(error))
            exchange.fail(refusal.status, refusal.message)
            await response.write(event_of(refusal.body()))
        await response.write_eof()
    except ConnectionError:
        exchange.caller_left()
    return response


def _noted(
    events: list[bytes], exchange: Exchange, now: float, *, hide_usage: bool
) -> Iterator[bytes]:
    """The events for the caller; notes what all of them say."""
    answer = exchange.answer
    for event in events:
        if answer is not None:
            answer.read_event(data_of(event))
            if exchange.first_token is None and answer.has_output:
                exchange.first_token = now
        if not (hide_usage and is_usage_only(event)):
            exchange.keep(event)
            yield event


def _headers(reply: Reply) -> CIMultiDict[str]:
    return CIMultiDict(headers_for_caller(reply.response.headers))
