"""The path of a call: read, tie to its run, route, hand over, record."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from scepsy.gateway.calls.delivery import refuse, stream, whole
from scepsy.gateway.engine_gaps.fill import Stand
from scepsy.gateway.engine_gaps.priority import Precedence
from scepsy.gateway.identity.labels import Address, locate
from scepsy.gateway.recording.exchange import Exchange
from scepsy.gateway.recording.recorder import Recorder
from scepsy.gateway.upstreams.relay import Outgoing, Relay
from scepsy.gateway.upstreams.rewriting import body_for_engine, headers_for_engine, usage_is_hidden
from scepsy.gateway.upstreams.upstream import Upstreams
from scepsy.gateway.wire.errors import ErrorAnswer, overloaded, unknown_llm, unknown_path
from scepsy.gateway.wire.requests import ENDPOINTS, read_request


@dataclass(slots=True)
class DataPlane:
    """Answers POST requests of the OpenAI API."""

    relay: Relay
    upstreams: Upstreams
    recorder: Recorder
    stand: Stand
    most_in_flight: int
    in_flight: int = 0
    precedence: Precedence = field(default_factory=Precedence)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        address = locate(request.rel_url.raw_path)
        if address.path not in ENDPOINTS:
            return refuse(unknown_path(request.method, address.path))
        if self.in_flight >= self.most_in_flight:
            return refuse(overloaded(self.most_in_flight))
        self.in_flight += 1
        try:
            return await self._answer(request, address)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.Request, address: Address) -> web.StreamResponse:
        arrived = self.recorder.clock()
        body = await request.read()
        asked = read_request(ENDPOINTS[address.path], body)
        if isinstance(asked, ErrorAnswer):
            return refuse(asked)
        client = request.remote or ""
        exchange = self.recorder.begin(request.headers, address, asked, body, client)
        exchange.start = arrived
        try:
            return await self._relay(request, address, exchange)
        except asyncio.CancelledError:
            exchange.caller_left()
            raise
        finally:
            self.recorder.end(exchange)

    async def _relay(
        self, request: web.Request, address: Address, exchange: Exchange
    ) -> web.StreamResponse:
        group = self.upstreams.of(exchange.asked.llm)
        if not group:
            return refuse(unknown_llm(exchange.asked.llm, self.upstreams.llms), exchange)
        refusal = await self.stand.refusal(exchange.asked, group[0].route)
        if refusal is not None:
            return refuse(refusal, exchange)
        rank = self.precedence.of(exchange.identity.run, exchange.start)
        ask_usage = self.recorder.writes and usage_is_hidden(exchange.asked)
        query = request.rel_url.raw_query_string
        outgoing = Outgoing(
            path=f"{address.path}?{query}" if query else address.path,
            headers=headers_for_engine(request.headers.items()),
            body=body_for_engine(
                exchange.body,
                exchange.asked,
                ask_usage=ask_usage,
                priority=rank if group[0].route.ranked else None,
            ),
        )
        reply = await self.relay.open(outgoing, exchange)
        if isinstance(reply, ErrorAnswer):
            return refuse(reply, exchange)
        try:
            if not reply.streams:
                return whole(reply, exchange)
            clock = self.recorder.clock
            return await stream(request, reply, exchange, clock, hide_usage=ask_usage)
        finally:
            reply.close()
