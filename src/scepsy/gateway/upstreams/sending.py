"""Sends one call to one upstream: the result is an answer, or one of five kinds of failure."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from scepsy.core.secrets import without_secrets
from scepsy.gateway.upstreams.fence import Fenced, Stuck
from scepsy.gateway.upstreams.rewriting import body_for_engine, headers_for_caller, with_key
from scepsy.gateway.upstreams.upstream import Upstream
from scepsy.gateway.wire.requests import ApiRequest

# A larger body is sent in pieces, so that one caller does not delay the others.
_WHOLE_BODY_MAX = 1 << 20
_USAGE, _PRIORITY = "stream_options", "priority"

Headers = Sequence[tuple[str, str]]


class SendFailed(Exception):
    """An upstream gave no answer, or stopped in the middle of one. The exception never leaves the
    gateway.
    """


class NotSent(SendFailed):
    """No connection could be made, so the upstream has seen nothing of the call."""


class ConnectionLost(SendFailed):
    """The connection was lost after the call had been sent."""


class TakenAway(SendFailed):
    """The upstream is cut off, and the call was taken away from it."""


class Stalled(SendFailed):
    """The upstream has sent nothing for too long; it hangs, or has forgotten the call."""


class UnreadableAnswer(SendFailed):
    """The upstream answered, but not in valid HTTP. It is alive."""


class UnsendableRequest(SendFailed):
    """The caller's headers cannot be sent on. This is not the upstream's fault."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call as it goes to upstreams.

    Attributes:
        path: the API path with its query.
        ask_usage: whether to add `stream_options.include_usage`, unless the upstream is known to
            refuse it.
        priority: added in the same way, if the upstream orders its queue by it.
    """

    path: str
    headers: Headers
    asked: ApiRequest
    body: bytes
    ask_usage: bool = False
    priority: int | None = None

    def added_for(self, upstream: Upstream) -> frozenset[str]:
        """The fields that the gateway adds for this upstream."""
        added = {_USAGE} if self.ask_usage else set[str]()
        ranks = self.priority is not None and upstream.route.ranked
        if ranks and _PRIORITY not in self.asked.fields:
            added.add(_PRIORITY)
        return frozenset(added - upstream.refused_fields)

    def body_with(self, added: Collection[str]) -> bytes:
        return body_for_engine(
            self.body,
            self.asked,
            ask_usage=_USAGE in added,
            priority=self.priority if _PRIORITY in added else None,
        )


@dataclass(slots=True, eq=False)
class Reply:
    """An answer that has begun: all of it, or the first bytes of a stream.

    The receiver closes it. `added` names the fields that the gateway had added to the call.
    """

    upstream: Upstream
    response: aiohttp.ClientResponse
    first: bytes
    streams: bool
    added: frozenset[str] = frozenset()
    closed: bool = False

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def encoding(self) -> str:
        """Its Content-Encoding; empty if it has none."""
        return self.response.headers.get("Content-Encoding", "")

    @property
    def usage_was_added(self) -> bool:
        return _USAGE in self.added

    async def more(self) -> bytes:
        """The next bytes of a stream; empty at its end. Raises ConnectionLost."""
        try:
            async with self.upstream.fence.guard(begun=True):
                return await self.response.content.readany()
        except Fenced as error:
            raise ConnectionLost(str(error)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost(_describe(error)) from error

    def close(self) -> None:
        """Ends the upstream call too, if it has not ended. May be called again."""
        if not self.closed:
            self.closed = True
            self.response.close()
            self.upstream.in_flight -= 1


@dataclass(frozen=True, slots=True)
class Sender:
    """`fresh` is a session that makes a new connection for every request."""

    pooled: aiohttp.ClientSession
    fresh: aiohttp.ClientSession

    async def post(
        self, upstream: Upstream, outgoing: Outgoing, added: frozenset[str], *, fresh: bool
    ) -> Reply:
        """The answer's headers, and its body or the first bytes of a stream. Raises SendFailed."""
        upstream.in_flight += 1
        try:
            session = self.fresh if fresh else self.pooled
            async with upstream.fence.guard():
                response = await self._headers(session, upstream, outgoing, added)
                return await self._begin(upstream, response, added)
        except Fenced as error:
            upstream.in_flight -= 1
            kind = Stalled if isinstance(error, Stuck) else TakenAway
            raise kind(str(error)) from None
        except BaseException:
            upstream.in_flight -= 1
            raise

    async def fetch(
        self, upstream: Upstream, method: str, path: str, headers: Headers
    ) -> web.Response:
        """What the upstream answers to a request of exactly this path, without a body. Redirects
        are passed on and not followed: they may lead anywhere. Raises SendFailed.
        """
        key = upstream.route.api_key_env
        sent = with_key(headers, os.environ[key]) if key else headers
        url = URL(upstream.address(path), encoded=True)
        try:
            async with self.pooled.request(
                method, url, headers=sent, allow_redirects=False
            ) as response:
                passed = CIMultiDict(headers_for_caller(response.headers))
                return web.Response(
                    status=response.status, body=await response.read(), headers=passed
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ConnectionLost(_describe(error)) from error

    async def _headers(
        self,
        session: aiohttp.ClientSession,
        upstream: Upstream,
        outgoing: Outgoing,
        added: frozenset[str],
    ) -> aiohttp.ClientResponse:
        body, key = outgoing.body_with(added), upstream.route.api_key_env
        try:
            return await session.post(
                URL(upstream.address(outgoing.path), encoded=True),
                data=io.BytesIO(body) if len(body) > _WHOLE_BODY_MAX else body,
                headers=with_key(outgoing.headers, os.environ[key]) if key else outgoing.headers,
                allow_redirects=False,
            )
        except (aiohttp.ClientConnectorError, TimeoutError) as error:
            raise NotSent(_describe(error)) from error
        except aiohttp.ClientResponseError as error:
            raise UnreadableAnswer(_describe(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost(_describe(error)) from error
        except ValueError as error:
            raise UnsendableRequest(_describe(error)) from error

    async def _begin(
        self, upstream: Upstream, response: aiohttp.ClientResponse, added: frozenset[str]
    ) -> Reply:
        """Reads errors whole, whatever their content type, so that another replica may be asked."""
        streams = response.content_type == "text/event-stream" and response.status < 400
        try:
            first = await (response.content.readany() if streams else response.read())
        except BaseException as error:
            response.close()
            if isinstance(error, aiohttp.ClientError | OSError):
                raise ConnectionLost(_describe(error)) from error
            raise
        if streams and not first:
            response.close()
            raise ConnectionLost("it closed the stream before its first byte")
        return Reply(upstream, response, first, streams, added)


def _describe(error: BaseException) -> str:
    return without_secrets(str(error)) or type(error).__name__
