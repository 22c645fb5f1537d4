"""The path of a call: read, identify its run, route, relay, record."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from scepsy.gateway.access.api_keys import ApiKey
from scepsy.gateway.access.gate import Gate, Permit
from scepsy.gateway.access.limiter import KeyedCall
from scepsy.gateway.calls.delivery import deliver_stream, deliver_whole, refuse
from scepsy.gateway.calls.stored_responses import StoredResponses, names_response
from scepsy.gateway.engine_gaps.priority import RunPriorities
from scepsy.gateway.engine_gaps.request_checks import RequestChecks
from scepsy.gateway.http.messages import HttpRequest, StreamResponse
from scepsy.gateway.identity.labels import Address, Identity, locate
from scepsy.gateway.identity.lineage import Clues
from scepsy.gateway.recording.exchange import Exchange
from scepsy.gateway.recording.recorder import Recorder
from scepsy.gateway.upstreams.relay import Relay
from scepsy.gateway.upstreams.rewriting import (
    headers_for_engine,
    usage_is_hidden,
    without_credentials,
)
from scepsy.gateway.upstreams.sending import Outgoing
from scepsy.gateway.upstreams.served_models import ServedModels
from scepsy.gateway.upstreams.upstream import Upstream, Upstreams
from scepsy.gateway.wire.encodings import CannotDecode, UnknownEncoding, decoded, known_encodings
from scepsy.gateway.wire.errors import (
    ErrorAnswer,
    closing,
    malformed,
    overloaded,
    rate_limited,
    unanswered,
    unknown_llm,
    unknown_path,
    unsupported_encoding,
)
from scepsy.gateway.wire.requests import ENDPOINTS, HELPERS, read_request
from scepsy.gateway.wire.token_ids import LARGE_BODY
from scepsy.routing.rate_limit import WAIT_MAX

_DECODED_HERE_MAX = 64 << 10
"""Bytes of a compressed body; a larger one is decoded in a thread."""


@dataclass(slots=True)
class DataPlane:
    """Answers POST requests of the OpenAI API. It refuses new ones while it is `closed`, which its
    deployer may revoke, and once it is `draining`, because the gateway stops. With a `gate` callers
    need API keys.
    """

    relay: Relay
    upstreams: Upstreams
    models: ServedModels
    responses: StoredResponses
    recorder: Recorder
    checks: RequestChecks
    most_in_flight: int
    event_bytes: int
    gate: Gate | None = None
    in_flight: int = 0
    closed: bool = False
    draining: bool = False
    priorities: RunPriorities = field(default_factory=RunPriorities)

    async def handle(self, request: HttpRequest, key: ApiKey | None) -> StreamResponse:
        """Answers the request of a caller with this API key, None where none is needed."""
        address = locate(request.rel_url.raw_path)
        if names_response("POST", address.path):
            return await self.responses.answer(request, address.path)
        if address.path not in ENDPOINTS and address.path not in HELPERS:
            return refuse(unknown_path(request.method, address.path))
        if self.closed or self.draining:
            return refuse(closing())
        if self.in_flight >= self.most_in_flight:
            return refuse(overloaded(self.most_in_flight))
        self.in_flight += 1
        try:
            return await self._answer(request, address, key)
        finally:
            self.in_flight -= 1

    async def _answer(
        self, request: HttpRequest, address: Address, key: ApiKey | None
    ) -> StreamResponse:
        arrived = self.recorder.clock()
        body = await _body(request)
        if isinstance(body, ErrorAnswer):
            return refuse(body)
        endpoint = ENDPOINTS.get(address.path)
        if len(body) > LARGE_BODY:  # other calls go on meanwhile
            asked = await asyncio.to_thread(read_request, endpoint, body)
        else:
            asked = read_request(endpoint, body)
        if isinstance(asked, ErrorAnswer):
            return refuse(asked)
        client = request.remote or ""
        if asked.endpoint is None:
            clues = Clues(client)
            helped = Exchange(asked, body, Identity(), clues, arrived, needs_text=False)
            return await self._entered(request, address, helped, key)
        exchange = self.recorder.begin(request.headers, address, asked, body, client)
        exchange.start = arrived
        try:
            return await self._entered(request, address, exchange, key)
        except asyncio.CancelledError:
            exchange.caller_left()
            raise
        finally:
            if exchange.cut_at:
                self.upstreams.cut[exchange.cut_at] += 1
            self.recorder.end(exchange)

    async def _entered(
        self, request: HttpRequest, address: Address, exchange: Exchange, key: ApiKey | None
    ) -> StreamResponse:
        """Relays the call, counted against its key's limits as long as that takes."""
        if self.gate is None or key is None:
            return await self._relay(request, address, exchange)
        identity = exchange.identity
        call = KeyedCall(exchange.asked.llm, identity.workflow or "", identity.run or exchange.id)
        permit = self.gate.enter(key, call)
        if isinstance(permit, ErrorAnswer):
            return refuse(permit, exchange)
        exchange.needs_text |= permit.counts_tokens
        try:
            return await self._relay(request, address, exchange, permit)
        finally:
            permit.end(_tokens(exchange), len(exchange.body))

    async def _relay(
        self,
        request: HttpRequest,
        address: Address,
        exchange: Exchange,
        permit: Permit | None = None,
    ) -> StreamResponse:
        asked = exchange.asked
        group = await self._group(asked.llm)
        if not group and self.upstreams.knows(asked.llm):
            return refuse(unanswered(asked.llm, ()), exchange)
        if not group:
            known = (*self.upstreams.llms, *self.upstreams.aliases)
            return refuse(unknown_llm(asked.llm, known), exchange)
        refusal = await self.checks.refusal(asked, group[0].route)
        if refusal is not None:
            return refuse(refusal, exchange)
        wait = min(one.wait(self.recorder.clock()) for one in group)
        if wait > WAIT_MAX:
            return refuse(rate_limited(asked.llm, wait), exchange)
        query = request.rel_url.raw_query_string
        headers = headers_for_engine(request.headers.items())
        counted = self.recorder.writes or (permit is not None and permit.counts_tokens)
        outgoing = Outgoing(
            path=f"{address.path}?{query}" if query else address.path,
            headers=headers if permit is None else without_credentials(headers),
            asked=asked,
            body=exchange.body,
            ask_usage=counted and usage_is_hidden(asked),
            priority=self.priorities.of(exchange.identity.run, exchange.start),
        )
        if asked.endpoint == "responses":
            exchange.home = await self.responses.home(exchange)
        reply = await self.relay.open(outgoing, exchange)
        if isinstance(reply, ErrorAnswer):
            return refuse(reply, exchange)
        try:
            if not reply.streams:
                answer = deliver_whole(request, reply, exchange)
            else:
                answer = await deliver_stream(
                    request, reply, exchange, self.recorder.clock, self.event_bytes
                )
            if exchange.replica_lost:
                self.relay.died(reply.upstream, outgoing)
            elif exchange.status < 400:
                self.relay.served(outgoing)
            return answer
        finally:
            reply.close()
            self.responses.made(exchange)

    async def _group(self, llm: str) -> tuple[Upstream, ...]:
        """The upstreams that serve this name. An unknown name may be an adapter that an engine has
        loaded since the engines were last asked.
        """
        if not self.upstreams.knows(llm):
            await self.models.refresh()
        return self.upstreams.of(llm)


def _tokens(exchange: Exchange) -> int | None:
    """The tokens that the engine told; none for a call that failed; None where it should have."""
    answer = exchange.answer
    if answer.prompt_tokens is None and answer.output_tokens is None:
        return None if exchange.status < 400 else 0
    return (answer.prompt_tokens or 0) + (answer.output_tokens or 0)


async def _body(request: HttpRequest) -> bytes | ErrorAnswer:
    """The request's body, decoded if it was compressed."""
    body = await request.read()
    encoding = request.headers.get("Content-Encoding")
    if not encoding:
        return body
    try:
        if len(body) > _DECODED_HERE_MAX:
            return await asyncio.to_thread(decoded, body, encoding)
        return decoded(body, encoding)
    except UnknownEncoding as error:
        return unsupported_encoding(str(error), known_encodings())
    except CannotDecode as error:
        return malformed(f"the body cannot be read: {error}")
