"""Sends a call to an upstream, and to another where that one does not answer."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from scepsy.gateway.recording.exchange import Exchange
from scepsy.gateway.upstreams.rewriting import headers_for_caller, with_key
from scepsy.gateway.upstreams.upstream import Upstream, Upstreams
from scepsy.gateway.wire.errors import ErrorAnswer, unanswered

_LARGE = 1 << 20
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as engines get it. `path` is an API path, with its query."""

    path: str
    headers: Headers
    body: bytes


@dataclass(slots=True, eq=False)
class Reply:
    """An answer of which something has come: all of it, or the first bytes of a stream.

    Whoever gets it closes it.
    """

    upstream: Upstream
    response: aiohttp.ClientResponse
    first: bytes
    streams: bool
    closed: bool = False

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def is_encoded(self) -> bool:
        return "Content-Encoding" in self.response.headers

    async def more(self) -> bytes:
        """The next bytes of a stream, as they come; empty at its end. Raises BrokenOff."""
        try:
            return await self.response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenOff(_words(error)) from error

    def close(self) -> None:
        """Ends the upstream call too, where it has not ended. May be called again."""
        if not self.closed:
            self.closed = True
            self.response.close()
            self.upstream.in_flight -= 1


class BrokenOff(Exception):
    """An upstream did not answer, or stopped answering. Never leaves the gateway."""


@dataclass(frozen=True, slots=True)
class Relay:
    """`fresh` is a session that makes a new connection for every request."""

    pooled: aiohttp.ClientSession
    fresh: aiohttp.ClientSession
    upstreams: Upstreams
    clock: Callable[[], float]

    async def open(self, outgoing: Outgoing, exchange: Exchange) -> Reply | ErrorAnswer:
        """The first answer to be had from any replica; nothing of it has gone to the caller.

        A replica that does not answer is taken out of service until it is well again. One that
        answers with 5xx may be dying: another one is asked, once, and if it has no better answer,
        the first counts.
        """
        llm, affinity = exchange.asked.llm, exchange.identity.run
        tried: set[str] = set()
        why: list[str] = []
        spare: Reply | None = None
        while True:
            upstream = self.upstreams.pick(llm, affinity, tried)
            if upstream is None and spare is None:
                upstream = self.upstreams.last_resort(llm, tried)
            if upstream is None:
                return spare or unanswered(llm, why)
            tried.add(upstream.name)
            try:
                reply = await self._ask(upstream, outgoing, exchange)
            except BrokenOff as error:
                why.append(f"{upstream.name}: {error}")
                continue
            if spare is not None:
                spare.upstream.count(spare.status)
                return reply
            if reply.status < 500:
                return reply
            reply.close()
            spare = reply

    async def get(self, upstream: Upstream, path: str, headers: Headers) -> web.Response:
        """What the upstream answers to a GET. Raises BrokenOff."""
        try:
            async with self.pooled.get(upstream.address(path), headers=headers) as response:
                passed = CIMultiDict(headers_for_caller(response.headers))
                return web.Response(
                    status=response.status, body=await response.read(), headers=passed
                )
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenOff(_words(error)) from error

    async def _ask(self, upstream: Upstream, outgoing: Outgoing, exchange: Exchange) -> Reply:
        exchange.replica = upstream.name
        exchange.attempts += 1
        exchange.dispatched = self.clock()
        upstream.in_flight += 1
        try:
            return await self._answer(upstream, outgoing)
        except BaseException as error:
            upstream.in_flight -= 1
            if isinstance(error, BrokenOff):
                upstream.broke_off()
            raise

    async def _answer(self, upstream: Upstream, outgoing: Outgoing) -> Reply:
        response = await self._send(upstream, outgoing)
        streams = response.content_type == "text/event-stream"
        try:
            first = await (response.content.readany() if streams else response.read())
        except BaseException as error:
            response.close()
            if isinstance(error, aiohttp.ClientError | OSError):
                raise BrokenOff(_words(error)) from error
            raise
        if streams and not first:
            response.close()
            raise BrokenOff("it closed the stream before its first byte")
        return Reply(upstream, response, first, streams)

    async def _send(self, upstream: Upstream, outgoing: Outgoing) -> aiohttp.ClientResponse:
        """Until the answer's headers are there.

        A server may close a kept-alive connection just as we use it (llama.cpp does), so a lost
        connection proves nothing before a fresh one is lost too.
        """
        try:
            return await self._post(self.pooled, upstream, outgoing)
        except (aiohttp.ClientConnectorError, TimeoutError) as error:
            raise BrokenOff(_words(error)) from error
        except (aiohttp.ClientError, OSError):
            pass
        try:
            return await self._post(self.fresh, upstream, outgoing)
        except (aiohttp.ClientError, OSError) as error:
            raise BrokenOff(_words(error)) from error

    async def _post(
        self, session: aiohttp.ClientSession, upstream: Upstream, outgoing: Outgoing
    ) -> aiohttp.ClientResponse:
        body, key = outgoing.body, upstream.route.api_key_env
        return await session.post(
            URL(upstream.address(outgoing.path), encoded=True),
            # A large body goes out in pieces, so that one caller does not hold up the others.
            data=io.BytesIO(body) if len(body) > _LARGE else body,
            headers=with_key(outgoing.headers, os.environ[key]) if key else outgoing.headers,
            allow_redirects=False,
        )


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
