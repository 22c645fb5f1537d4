"""Requests other than calls: health, models, metrics, and new routes from a deployer."""

from __future__ import annotations

import asyncio
import ipaddress
import math
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote

import msgspec
from aiohttp import web

from scepsy.core.trace import RunMark
from scepsy.errors import BadInput
from scepsy.gateway.calls.dataplane import DataPlane
from scepsy.gateway.calls.delivery import refuse
from scepsy.gateway.config import Route, check_routes
from scepsy.gateway.http_server import Handler
from scepsy.gateway.identity.labels import locate
from scepsy.gateway.metrics import CONTENT_TYPE, exposition, status
from scepsy.gateway.names import is_name
from scepsy.gateway.upstreams.rewriting import headers_for_engine
from scepsy.gateway.upstreams.sending import SendFailed
from scepsy.gateway.wire.errors import ErrorAnswer, malformed, unanswered, unknown_llm, unknown_path

T = TypeVar("T")

_MODELS = "/v1/models"


@dataclass(frozen=True, slots=True)
class Admin:
    """Answers every request: calls through the data plane, everything else itself."""

    plane: DataPlane
    started: float

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any request of the gateway."""
        path = request.rel_url.raw_path
        match request.method:
            case "POST" if path == "/scepsy/runs":
                return await local_only(self.post_run)(request)
            case "POST":
                return await self.plane.handle(request)
            case "GET":
                return await self.get(request)
            case "PUT" if path == "/scepsy/routes":
                return await local_only(self.put_routes)(request)
            case "PUT" if path == "/scepsy/fence":
                return await local_only(self.put_fence)(request)
            case "PUT" if path == "/scepsy/closed":
                return await local_only(self.put_closed)(request)
            case _:
                raise web.HTTPMethodNotAllowed(request.method, ["GET", "POST"])

    async def get(self, request: web.BaseRequest) -> web.StreamResponse:
        path = locate(request.rel_url.raw_path).path
        plane = self.plane
        if path == "/health":
            return _json({"status": "ok"})
        if path == "/metrics":
            text = exposition(plane.upstreams, plane.recorder.tally)
            return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})
        if path == "/scepsy/status":
            tally = plane.recorder.tally
            return _json(status(plane.upstreams, tally, self.started, plane.in_flight))
        if path == _MODELS or path.startswith(_MODELS + "/"):
            return await self._models(request, path)
        return refuse(unknown_path(request.method, path))

    async def put_routes(self, request: web.BaseRequest) -> web.StreamResponse:
        """Replaces all routes by those in the body. Calls in flight end on their old replicas. Each
        `waiting` in the query names an LLM that will have a route: its calls get 503, not 404. A
        gateway that was closed is open again: taking its deployment down was broken off.
        """
        routes = _read(await request.read(), tuple[Route, ...])
        if isinstance(routes, ErrorAnswer):
            return refuse(routes)
        try:
            check_routes(routes)
        except BadInput as error:
            return refuse(malformed(str(error)))
        self.plane.upstreams.replace(routes, request.query.getall("waiting", []))
        self.plane.closed = False
        return _json({"routes": len(routes)})

    async def put_closed(self, _: web.BaseRequest) -> web.StreamResponse:
        """New calls are refused until new routes come. Calls in flight go on."""
        self.plane.closed = True
        return _json({"in_flight": self.plane.in_flight})

    async def put_fence(self, request: web.BaseRequest) -> web.StreamResponse:
        """Takes all calls away from the replicas in the body, whose nodes are cut off. Calls of
        which nothing has been delivered are sent to other replicas.
        """
        replicas = _read(await request.read(), tuple[str, ...])
        if isinstance(replicas, ErrorAnswer):
            return refuse(replicas)
        return _json({"calls": self.plane.upstreams.fence(replicas)})

    async def post_run(self, request: web.BaseRequest) -> web.StreamResponse:
        """Records when a run began and ended, as reported by the process that started it."""
        mark = _read(await request.read(), RunMark)
        if isinstance(mark, ErrorAnswer):
            return refuse(mark)
        if not -math.inf < mark.start <= mark.end < math.inf:
            return refuse(malformed("$.end must not be before $.start, and both finite", "end"))
        if not (is_name(mark.run) and is_name(mark.workflow)):
            return refuse(malformed("$.run and $.workflow must be short printable names", "run"))
        log = self.plane.recorder.log
        if log is None:
            return refuse(ErrorAnswer(409, "this gateway records no traces", "not_recording"))
        try:
            await asyncio.wrap_future(log.mark(mark))
        except OSError as error:
            return refuse(
                ErrorAnswer(500, f"the mark could not be written: {error}", "not_written")
            )
        return _json({"run": mark.run})

    async def _models(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """The routed LLMs and the further models that their engines serve; or the answer of the
        pass-through server, if there is one.
        """
        upstreams = self.plane.upstreams
        if upstreams.pass_through is not None:
            headers = headers_for_engine(request.headers.items())
            try:
                return await self.plane.relay.sender.get(upstreams.pass_through, path, headers)
            except SendFailed as error:
                return refuse(unanswered("upstream", [str(error)]))
        await self.plane.models.refresh()
        models = self.plane.models.list_models(int(self.started))
        if path == _MODELS:
            return _json({"object": "list", "data": models})
        name = unquote(path.removeprefix(_MODELS + "/"))
        found = next((model for model in models if model["id"] == name), None)
        known = [str(model["id"]) for model in models]
        return refuse(unknown_llm(name, known)) if found is None else _json(found)


def local_only(handler: Handler) -> Handler:
    """Refuses callers from other machines."""

    async def guarded(request: web.BaseRequest) -> web.StreamResponse:
        try:
            local = ipaddress.ip_address(request.remote or "").is_loopback
        except ValueError:
            local = False
        if not local:
            return refuse(ErrorAnswer(403, "only this machine may do that", "forbidden"))
        return await handler(request)

    return guarded


def _read(body: bytes, record_type: type[T]) -> T | ErrorAnswer:
    try:
        return msgspec.json.decode(body, type=record_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return malformed(str(error))


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
