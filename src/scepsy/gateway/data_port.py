"""What programs may ask of a gateway: calls, models, health, and to note when runs began and ended.

Nothing here governs the gateway or an engine; see `admin.py` for what does.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
from dataclasses import dataclass
from urllib.parse import quote, unquote

from scepsy.core.trace import RunMark
from scepsy.gateway.calls.dataplane import DataPlane
from scepsy.gateway.calls.delivery import refuse
from scepsy.gateway.calls.stored_responses import names_response
from scepsy.gateway.http.messages import HttpRequest, StreamResponse, method_not_allowed
from scepsy.gateway.identity.labels import locate
from scepsy.gateway.json_bodies import json_answer, not_json, read_json
from scepsy.gateway.names import is_name
from scepsy.gateway.upstreams.rewriting import headers_for_engine, without_credentials
from scepsy.gateway.upstreams.sending import SendFailed
from scepsy.gateway.wire.errors import ErrorAnswer, malformed, unanswered, unknown_llm, unknown_path

_MODELS = "/v1/models"
_RUNS = "/scepsy/runs"


@dataclass(frozen=True, slots=True)
class DataPort:
    """Answers every request at the address of calls."""

    plane: DataPlane
    started: float

    async def handle(self, request: HttpRequest) -> StreamResponse:
        """Any request at that address."""
        method, path = request.method, locate(request.rel_url.raw_path).path
        if method not in ("GET", "POST"):
            raise method_not_allowed("GET", "POST")
        if method == "GET" and path == "/health":
            return self._health()
        if method == "POST" and (refused := not_json(request.headers)) is not None:
            return refuse(refused)
        gate = self.plane.gate
        key = None if gate is None else await gate.key_of(request.headers)
        if isinstance(key, ErrorAnswer):
            return refuse(key)
        if method == "GET":
            return await self._get(request, path)
        if request.rel_url.raw_path == _RUNS:
            return await self.post_run(request)
        return await self.plane.handle(request, key)

    def _health(self) -> StreamResponse:
        if self.plane.draining:
            return json_answer({"status": "draining"}, 503)
        return json_answer({"status": "ok"})

    async def _get(self, request: HttpRequest, path: str) -> StreamResponse:
        if path == _MODELS or path.startswith(_MODELS + "/"):
            return await self._models(request, path)
        if names_response("GET", path):
            return await self.plane.responses.answer(request, path)
        return refuse(unknown_path(request.method, path))

    async def post_run(self, request: HttpRequest) -> StreamResponse:
        """Records when a run began and ended, as reported by the process that started it."""
        if not _is_local(request.remote) or "Origin" in request.headers:
            return refuse(
                ErrorAnswer(403, "only programs of this machine may do that", "forbidden")
            )
        mark = read_json(await request.read(), RunMark)
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
        return json_answer({"run": mark.run})

    async def _models(self, request: HttpRequest, path: str) -> StreamResponse:
        """The routed LLMs and the further models that their engines serve; or the answer of the
        pass-through server, if there is one.
        """
        upstreams = self.plane.upstreams
        name = unquote(path.removeprefix(_MODELS).removeprefix("/"))
        if upstreams.pass_through is not None:
            if name and any(part in ("", ".", "..") for part in name.split("/")):
                return refuse(unknown_path(request.method, path))  # it would leave /v1/models
            path = f"{_MODELS}/{quote(name)}" if name else _MODELS
            headers = headers_for_engine(request.headers.items())
            if self.plane.gate is not None:
                headers = without_credentials(headers)
            try:
                sender = self.plane.relay.sender
                return await sender.fetch(upstreams.pass_through, "GET", path, headers)
            except SendFailed as error:
                return refuse(unanswered("upstream", [str(error)]))
        await self.plane.models.refresh()
        models = self.plane.models.list_models(int(self.started))
        if path == _MODELS:
            return json_answer({"object": "list", "data": models})
        found = next((model for model in models if model["id"] == name), None)
        known = [str(model["id"]) for model in models]
        return refuse(unknown_llm(name, known)) if found is None else json_answer(found)


def _is_local(remote: str | None) -> bool:
    try:
        return ipaddress.ip_address(remote or "").is_loopback
    except ValueError:
        return False
