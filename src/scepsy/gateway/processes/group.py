"""The parent of several gateway processes on one port: `GatewayConfig.processes`.

The processes share the port by SO_REUSEPORT: the kernel gives each connection to one of them. Each
has its own trace files, and an admin address that only the parent knows. The parent answers at the
admin address of the whole: it gives new routes to all processes before it answers, and adds up what
they count. It takes no calls itself.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from scepsy.errors import BadInput, Unreachable
from scepsy.gateway.access.admin_guard import refusal
from scepsy.gateway.config import (
    AdminConfig,
    GatewayConfig,
    Route,
    check_key_variables,
    check_routes,
)
from scepsy.gateway.metrics import CONTENT_TYPE, GatewayStatus
from scepsy.gateway.processes.child import Child
from scepsy.gateway.processes.merging import Samples, summed_samples, summed_status
from scepsy.gateway.wire.errors import ErrorAnswer, malformed, unknown_path

_SETTLED_WITHIN = 30.0
"""Seconds that new routes wait for a process that is just being started."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Governed:
    """What all processes are to do: the routes, the LLMs that will have some, and whether new calls
    are refused.
    """

    routes: tuple[Route, ...] = ()
    waiting: tuple[str, ...] = ()
    closed: bool = False


@dataclass(slots=True)
class ProcessGroup:
    """The processes and what governs them. `port` is the one that they share."""

    config: GatewayConfig
    port: int
    folder: Path
    key: str
    started: float = field(default_factory=time.time)
    children: list[Child] = field(default_factory=list[Child])
    _governed: Governed = field(init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _seen: dict[int, Samples] = field(default_factory=dict[int, Samples])
    _retired: list[Samples] = field(default_factory=list[Samples])
    _changes: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def __post_init__(self) -> None:
        self._governed = Governed(routes=self.config.routes)
        self.children = [
            Child(index, self.folder, self._config_of_child, self._inform, self._ended)
            for index in range(self.config.processes)
        ]

    def _config_of_child(self, key_file: Path) -> GatewayConfig:
        """Limits of the whole are divided between the processes."""
        config, count = self.config, self.config.processes
        return msgspec.structs.replace(
            config,
            port=self.port,
            processes=1,
            reuse_port=True,
            routes=self._shares(self._governed.routes),
            most_in_flight=math.ceil(config.most_in_flight / count),
            limits=msgspec.structs.replace(
                config.limits, connections=math.ceil(config.limits.connections / count)
            ),
            admin=AdminConfig(file=str(key_file)),
            key_variables=tuple(sorted(config.allowed_variables)),
        )

    def _shares(self, routes: Sequence[Route]) -> tuple[Route, ...]:
        count = self.config.processes
        return tuple(
            route
            if route.rate_limit is None
            else msgspec.structs.replace(route, rate_limit=route.rate_limit / count)
            for route in routes
        )

    def replace_routes(self, routes: Sequence[Route], waiting: Collection[str] = ()) -> None:
        """As `Gateway.replace_routes`; the processes follow at once. Raises BadInput."""
        check_key_variables(routes, self.config.allowed_variables)
        check_routes(routes)
        self._change(Governed(tuple(routes), tuple(sorted(waiting))))

    def close(self) -> None:
        """As `Gateway.close`."""
        self._change(_closed(self._governed))

    def _change(self, governed: Governed) -> None:
        self._governed = governed
        task = asyncio.create_task(self.inform_all())
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)

    async def inform_all(self) -> None:
        """Tells every process what it is to do, and waits for those that are being started. A
        process that does not answer is killed; the one that follows it knows.
        """
        async with self._lock:
            await asyncio.gather(*(self._inform(one) for one in self.children))
        try:
            async with asyncio.timeout(_SETTLED_WITHIN):
                await asyncio.gather(*(one.settled.wait() for one in self.children))
        except TimeoutError:
            _log.error("a gateway process takes long to start; it gets the new routes then")

    async def _inform(self, child: Child) -> None:
        if child.access is None:
            return
        told = None
        while told != self._governed:  # it may change meanwhile
            told = self._governed
            query = urlencode([("waiting", llm) for llm in told.waiting])
            body = msgspec.json.encode(self._shares(told.routes))
            try:
                status, answer = await child.ask("PUT", f"/scepsy/routes?{query}", body)
                if told.closed and status == 200:
                    status, answer = await child.ask("PUT", "/scepsy/closed", b"")
            except Unreachable as error:
                _log.warning("%s", error)
                return
            if status != 200:
                _log.error("gateway process %d refused: %s", child.index, answer[:500])
                return

    def _ended(self, child: Child) -> None:
        """What it had counted when it was last asked stays in the sums."""
        seen = self._seen.pop(child.index, None)
        if seen is not None:
            self._retired = [summed_samples([*self._retired, seen.counters()])]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any request at the admin address."""
        refused = refusal(request.headers, self.key, self.config.admin.names)
        if refused is not None:
            return _refuse(refused)
        path = request.rel_url.raw_path
        match request.method, path:
            case "GET", "/metrics":
                text = (await self.samples()).text()
                return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})
            case "GET", "/scepsy/status":
                return _json(await self.status())
            case "PUT", "/scepsy/routes":
                return await self._put_routes(request)
            case "PUT", "/scepsy/closed":
                self._governed = _closed(self._governed)
                await self.inform_all()
                return _json({"in_flight": (await self.status()).in_flight})
            case "PUT", "/scepsy/fence":
                return await self._put_fence(await request.read())
            case _:
                return _refuse(unknown_path(request.method, path))

    async def _put_routes(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            routes = msgspec.json.decode(await request.read(), type=tuple[Route, ...])
            check_key_variables(routes, self.config.allowed_variables)
            check_routes(routes)
        except (msgspec.DecodeError, UnicodeDecodeError, BadInput) as error:
            return _refuse(malformed(str(error)))
        self._governed = Governed(routes, tuple(sorted(request.query.getall("waiting", []))))
        await self.inform_all()
        return _json({"routes": len(routes)})

    async def _put_fence(self, body: bytes) -> web.StreamResponse:
        answers = await self._ask_all("PUT", "/scepsy/fence", body)
        wrong = next((answer for status, answer in answers if status != 200), None)
        if wrong is not None:
            return _refuse(malformed(wrong.decode(errors="replace")))
        calls = [msgspec.json.decode(answer, type=dict[str, int]) for _, answer in answers]
        return _json({"calls": sum(one["calls"] for one in calls)})

    async def status(self) -> GatewayStatus:
        """The sums over all processes that run."""
        answers = await self._ask_all("GET", "/scepsy/status")
        found = [
            msgspec.json.decode(body, type=GatewayStatus) for code, body in answers if code == 200
        ]
        return summed_status(found, self.started)

    async def samples(self) -> Samples:
        """The sums over all processes, and what those that have ended had counted."""
        for child in self.children:
            try:
                code, body = await child.ask("GET", "/metrics")
            except Unreachable:
                continue
            if code == 200:
                self._seen[child.index] = Samples.read(body.decode())
        return summed_samples([*self._seen.values(), *self._retired])

    async def _ask_all(
        self, method: str, path: str, body: bytes | None = None
    ) -> list[tuple[int, bytes]]:
        asked = (one.ask(method, path, body) for one in self.children if one.access is not None)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for one in answers:
            if isinstance(one, BaseException) and not isinstance(one, Unreachable):
                raise one
        return [one for one in answers if not isinstance(one, BaseException)]


def _closed(governed: Governed) -> Governed:
    return Governed(governed.routes, governed.waiting, closed=True)


def _refuse(error: ErrorAnswer) -> web.Response:
    return web.Response(status=error.status, body=error.body(), content_type="application/json")


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
