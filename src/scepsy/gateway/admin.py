"""What governs a gateway: routes, fences, closing, and its counts. At an address of its own."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from scepsy.errors import BadInput, NotFound
from scepsy.gateway.access.admin_access import (
    KEY_BYTES_MIN,
    AdminAccess,
    new_key,
    read_access,
    write_access,
)
from scepsy.gateway.access.admin_guard import refusal
from scepsy.gateway.calls.dataplane import DataPlane
from scepsy.gateway.calls.delivery import refuse
from scepsy.gateway.config import AdminConfig, Route, check_key_variables, check_routes
from scepsy.gateway.http.messages import HttpRequest, HttpResponse, StreamResponse
from scepsy.gateway.json_bodies import json_answer, read_json
from scepsy.gateway.metrics import CONTENT_TYPE, exposition, status
from scepsy.gateway.wire.errors import ErrorAnswer, malformed, unknown_path


@dataclass(frozen=True, slots=True)
class Admin:
    """Answers every request at the admin address.

    Attributes:
        key: what callers must present.
        names: see `AdminConfig`.
        variables: the environment variables that routes may name.
    """

    plane: DataPlane
    started: float
    key: str
    names: Collection[str]
    variables: frozenset[str]

    async def handle(self, request: HttpRequest) -> StreamResponse:
        """Any request at that address."""
        refused = refusal(request.headers, self.key, self.names)
        if refused is not None:
            return refuse(refused)
        plane, path = self.plane, request.rel_url.raw_path
        match request.method, path:
            case "GET", "/metrics":
                text = exposition(plane.upstreams, plane.recorder.tally)
                return HttpResponse(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})
            case "GET", "/scepsy/status":
                tally = plane.recorder.tally
                return json_answer(status(plane.upstreams, tally, self.started, plane.in_flight))
            case "PUT", "/scepsy/routes":
                return await self.put_routes(request)
            case "PUT", "/scepsy/fence":
                return await self.put_fence(request)
            case "PUT", "/scepsy/closed":
                return self.put_closed()
            case _:
                return refuse(unknown_path(request.method, path))

    async def put_routes(self, request: HttpRequest) -> StreamResponse:
        """Replaces all routes by those in the body. Calls in flight end on their old replicas. Each
        `waiting` in the query names an LLM that will have a route: its calls get 503, not 404. A
        gateway that was closed is open again: taking its deployment down was broken off.
        """
        routes = read_json(await request.read(), tuple[Route, ...])
        if isinstance(routes, ErrorAnswer):
            return refuse(routes)
        try:
            check_key_variables(routes, self.variables)
            check_routes(routes)
        except BadInput as error:
            return refuse(malformed(str(error)))
        self.plane.upstreams.replace(routes, request.query.getall("waiting", []))
        self.plane.closed = False
        return json_answer({"routes": len(routes)})

    def put_closed(self) -> StreamResponse:
        """New calls are refused until new routes come. Calls in flight go on."""
        self.plane.closed = True
        return json_answer({"in_flight": self.plane.in_flight})

    async def put_fence(self, request: HttpRequest) -> StreamResponse:
        """Takes all calls away from the replicas in the body, whose nodes are cut off. Calls of
        which nothing has been delivered are sent to other replicas.
        """
        replicas = read_json(await request.read(), tuple[str, ...])
        if isinstance(replicas, ErrorAnswer):
            return refuse(replicas)
        return json_answer({"calls": self.plane.upstreams.fence(replicas)})


def admin_key(config: AdminConfig) -> str:
    """The key of the environment variable that is configured, or a new one.

    Raises NotFound where the variable is not set, and BadInput where the key is too short.
    """
    if config.key_env is None:
        return new_key()
    key = os.environ.get(config.key_env, "")
    if not key:
        raise NotFound(f"the environment variable {config.key_env}, the admin key, is not set")
    if len(key.encode()) < KEY_BYTES_MIN:
        raise BadInput(
            f"the admin key in {config.key_env} is shorter than {KEY_BYTES_MIN} bytes; "
            "`openssl rand -hex 32` makes a good one"
        )
    return key


def publish(access: AdminAccess, file: str | None, stack: AsyncExitStack) -> None:
    """Writes address and key into `file`, if there is one; `stack` removes it at the end. Raises
    BadInput where it cannot be written.
    """
    if file is not None:
        path = Path(file)
        write_access(path, access)
        stack.callback(_withdraw, path, access)


def _withdraw(path: Path, access: AdminAccess) -> None:
    """Removes the file unless a gateway that followed this one has written it."""
    if read_access(path) == access:
        path.unlink(missing_ok=True)
