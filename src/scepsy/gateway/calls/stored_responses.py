"""Which replica has which response of /v1/responses: its conversation can go on only there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from scepsy.gateway.calls.delivery import refuse
from scepsy.gateway.http.messages import HttpRequest, HttpResponse, StreamResponse
from scepsy.gateway.identity.lru import Recent
from scepsy.gateway.names import is_name
from scepsy.gateway.recording.exchange import Exchange
from scepsy.gateway.upstreams.rewriting import headers_for_engine, without_credentials
from scepsy.gateway.upstreams.sending import Sender, SendFailed
from scepsy.gateway.upstreams.upstream import Upstream, Upstreams
from scepsy.gateway.wire.errors import ErrorAnswer
from scepsy.gateway.wire.lenient_json import identifier

RESPONSES_MAX = 65_536  # responses whose replica is remembered
ASKED_MAX = 64  # replicas that are asked for a response whose replica is unknown
_ASKING_SECONDS = 5.0
_PATH = re.compile(r"/v1/responses/(\w[\w.:-]{0,255})(/cancel)?", re.ASCII)
"""An id that contains anything else, such as a dot that leaves the folder, is not served."""


def names_response(method: str, path: str) -> bool:
    """Whether this is a request about one response: GET it, or POST its /cancel."""
    found = _PATH.fullmatch(path)
    return found is not None and method == ("POST" if found[2] else "GET")


@dataclass(frozen=True, slots=True)
class StoredResponses:
    """Remembers where each response was made. A response of another gateway, or one that was
    forgotten, is looked for at all replicas. Replicas get callers' credentials only with
    `keep_credentials`.
    """

    sender: Sender
    upstreams: Upstreams
    clock: Callable[[], float]
    keep_credentials: bool = True
    _replicas: Recent[str, str] = field(
        default_factory=lambda: Recent(RESPONSES_MAX, lambda one, name: len(one) + len(name))
    )

    def made(self, exchange: Exchange) -> None:
        """Notes the replica that made the exchange's response, if it is one."""
        made = exchange.answer.response
        if made is not None and exchange.replica is not None and is_name(made):
            self._replicas.put(made, exchange.replica, self.clock())

    async def home(self, exchange: Exchange) -> str | None:
        """The replica that has the response which this call continues."""
        previous = identifier(exchange.asked.fields.get("previous_response_id"))
        if previous is None or not _PATH.fullmatch(f"/v1/responses/{previous}"):
            return None
        known = self._replicas.get(previous, self.clock())
        group = self.upstreams.of(exchange.asked.llm)
        if known is not None or len(group) < 2:
            return known
        headers = headers_for_engine(())
        found = await self._look(group, "GET", f"/v1/responses/{previous}", headers)
        return None if found is None else found[0].name

    async def answer(self, request: HttpRequest, path: str) -> StreamResponse:
        """Passes a request about one response to the replica that has it."""
        query = request.rel_url.raw_query_string
        full = f"{path}?{query}" if query else path
        headers = headers_for_engine(request.headers.items())
        if not self.keep_credentials:
            headers = without_credentials(headers)
        named = path.split("/")[3]
        home = self._replicas.get(named, self.clock())
        every = tuple(self.upstreams)
        group = tuple(one for one in every if one.name == home) or every
        found = await self._look(group, request.method, full, headers)
        if found is None:
            message = f"Response with id {named!r} not found."
            return refuse(ErrorAnswer(404, message, "not_found", "response_id"))
        return found[1]

    async def _look(
        self, group: tuple[Upstream, ...], method: str, path: str, headers: list[tuple[str, str]]
    ) -> tuple[Upstream, HttpResponse] | None:
        """The first of the replicas that does not answer 404, and what it answers."""

        async def ask(one: Upstream) -> tuple[Upstream, HttpResponse] | None:
            try:
                async with asyncio.timeout(_ASKING_SECONDS):
                    answer = await self.sender.fetch(one, method, path, headers)
            except (SendFailed, TimeoutError):
                return None
            return None if answer.status in (404, 405) else (one, answer)

        answers = await asyncio.gather(*map(ask, group[:ASKED_MAX]))
        return next((one for one in answers if one is not None), None)
