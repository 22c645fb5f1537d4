"""Passes an answer to the caller: whole, or event by event as it arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from multidict import CIMultiDict

from scepsy.gateway.http.messages import HttpRequest, HttpResponse, StreamResponse
from scepsy.gateway.recording.exchange import Exchange
from scepsy.gateway.upstreams.rewriting import headers_for_caller
from scepsy.gateway.upstreams.sending import ConnectionLost, Reply
from scepsy.gateway.wire.encodings import CannotDecode, Decoder, accepts, decoded
from scepsy.gateway.wire.errors import ErrorAnswer, broken_off, error_event
from scepsy.gateway.wire.failures import error_message, is_openai_error, streamed_error
from scepsy.gateway.wire.sse import EventSplitter, EventTooLarge, is_usage_only, read_event


def refuse(refusal: ErrorAnswer, exchange: Exchange | None = None) -> HttpResponse:
    """The gateway's own error, noted in the exchange that it ends."""
    if exchange is not None:
        exchange.fail(refusal.status, refusal.message)
    headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
    if refusal.closes:
        headers["Connection"] = "close"
    return HttpResponse(
        status=refusal.status,
        body=refusal.body(),
        headers=headers,
        content_type="application/json",
    )


def deliver_whole(request: HttpRequest, reply: Reply, exchange: Exchange) -> HttpResponse:
    """The complete answer. A compressed answer is passed on unchanged, unless the caller does not
    accept the encoding and it can be decoded here.
    """
    exchange.status = reply.status
    reply.upstream.count(reply.status)
    content, body, headers = reply.first, reply.first, _headers(reply)
    readable = True
    if reply.encoding:
        try:
            content = decoded(reply.first, reply.encoding)
        except CannotDecode:
            readable = False
        if readable and not _accepts(request, reply):
            body = content
            headers.popall("Content-Encoding", None)
    exchange.keep(content)
    if reply.status >= 400:
        streamed = reply.is_event_stream
        said = streamed_error(content) if streamed else content
        exchange.error = error_message(reply.status, said)
        if readable and not streamed and not is_openai_error(content):
            return _reworded(reply, exchange.error)
    elif readable and exchange.wants(content):
        exchange.answer.read_whole(content)
    return HttpResponse(status=reply.status, reason=reply.reason, body=body, headers=headers)


def _reworded(reply: Reply, message: str) -> HttpResponse:
    """An engine's error in OpenAI's shape, if the engine used another shape."""
    headers = _headers(reply)
    headers.popall("Content-Type", None)
    headers.popall("Content-Encoding", None)
    return HttpResponse(
        status=reply.status,
        reason=reply.reason,
        body=ErrorAnswer(reply.status, message, "engine_error").body(),
        headers=headers,
        content_type="application/json",
    )


async def deliver_stream(
    request: HttpRequest,
    reply: Reply,
    exchange: Exchange,
    clock: Callable[[], float],
    event_bytes: int,
) -> StreamResponse:
    """Passes events on until the answer ends, without the usage event that the gateway asked for.

    If the upstream dies, or an event has more than `event_bytes` bytes, an error event follows the
    last whole event.
    """
    passage = _Passage.of(request, reply, exchange)
    passage.splitter.most = event_bytes
    headers = _headers(reply)
    if reply.encoding and not passage.passes_encoded:
        headers.popall("Content-Encoding", None)
    response = StreamResponse(status=reply.status, reason=reply.reason, headers=headers)
    exchange.status = reply.status

    def pass_on(chunk: bytes) -> bool:
        passed = passage.feed(chunk, clock())
        return response.feed(passed) if passed else True

    try:
        await response.prepare(request)
        try:
            response.feed(passage.feed(reply.first, clock()))  # the head at least
            await reply.pump(pass_on, response.drain)
            reply.upstream.count(reply.status)
            if last := passage.finish(clock()):
                response.feed(last)
        except (ConnectionLost, CannotDecode, EventTooLarge) as error:
            exchange.replica_lost = isinstance(error, ConnectionLost)
            reply.upstream.broke_off(alive=not exchange.replica_lost)
            exchange.cut_at = reply.upstream.name
            refusal = broken_off(reply.upstream.name, str(error))
            exchange.fail(refusal.status, refusal.message)
            if not passage.passes_encoded:
                named = exchange.asked.endpoint == "messages"
                response.feed(error_event(refusal, named=named))
        await response.write_eof()
    except ConnectionError:
        exchange.caller_left()
    return response


@dataclass(slots=True)
class _Passage:
    """The events of one stream on their way to the caller. Reads all of them for the record.

    Attributes:
        decoder: decodes a compressed stream.
        passes_encoded: whether the caller gets a compressed stream unchanged.
    """

    exchange: Exchange
    hide_usage: bool
    decoder: Decoder | None = None
    passes_encoded: bool = False
    splitter: EventSplitter = field(default_factory=EventSplitter)

    @staticmethod
    def of(request: HttpRequest, reply: Reply, exchange: Exchange) -> _Passage:
        decoder, readable = None, True
        if reply.encoding:
            try:
                decoder = Decoder(reply.encoding)
            except CannotDecode:
                readable = False
        encoded = bool(reply.encoding) and (
            not readable or (_accepts(request, reply) and not reply.usage_was_added)
        )
        return _Passage(exchange, reply.usage_was_added, decoder, encoded)

    def feed(self, chunk: bytes, now: float) -> bytes:
        """The bytes for the caller that follow from `chunk`. Raises CannotDecode, unless the bytes
        are passed on unchanged.
        """
        content = chunk
        if self.passes_encoded and self.decoder is None:
            return chunk
        if self.decoder is not None:
            try:
                content = self.decoder.feed(chunk)
            except CannotDecode:
                if not self.passes_encoded:
                    raise
                self.decoder = None
                return chunk
        passed = b"".join(self._noted(self.splitter.feed(content), now))
        return chunk if self.passes_encoded else passed

    def finish(self, now: float) -> bytes:
        """The stream has ended normally: bytes after the last blank line are an event, too."""
        rest = self.splitter.take_rest()
        passed = b"".join(self._noted([rest] if rest else [], now))
        if self.exchange.needs_text and self.exchange.answer.lacks_end:
            self.exchange.error = "the stream stopped before its end"
        return b"" if self.passes_encoded else passed

    def _noted(self, events: list[bytes], now: float) -> Iterator[bytes]:
        exchange, answer = self.exchange, self.exchange.answer
        for event in events:
            if exchange.wants(event):
                data, named_error = read_event(event)
                if event.startswith(b"{"):  # a server that fails may send its error as bare JSON
                    data = event.strip()
                answer.read_event(data, named_error=named_error)
                if exchange.first_token is None and answer.has_output:
                    exchange.first_token = now
            if not (self.hide_usage and is_usage_only(event)):
                exchange.keep(event)
                yield event


def _accepts(request: HttpRequest, reply: Reply) -> bool:
    return accepts(request.headers.get("Accept-Encoding", ""), reply.encoding)


def _headers(reply: Reply) -> CIMultiDict[str]:
    return CIMultiDict(headers_for_caller(reply.headers))
