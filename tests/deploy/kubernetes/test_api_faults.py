"""Answers of an API server that come at a bad moment, or only in part."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from scepsy.deploy.kubernetes.api import Json, KubernetesApi, connected
from scepsy.deploy.kubernetes.lease import held
from scepsy.errors import Unreachable

PATH = "/apis/coordination.k8s.io/v1/namespaces/default/leases/d-scepsy"


@asynccontextmanager
async def server(
    folder: Path, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> AsyncGenerator[KubernetesApi]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as one:
        named: dict[str, object] = {
            "clusters": [{"name": "c", "cluster": {"server": str(one.make_url("")).rstrip("/")}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        (folder / "config").write_text(json.dumps(named))
        async with connected(folder / "config") as api:
            yield api


async def test_an_answer_that_breaks_off_is_no_answer(tmp_path: Path) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return answer

    async with server(tmp_path, half) as api:
        with pytest.raises(Unreachable, match="does not answer"):
            await api.text("/logs")


async def test_a_lease_that_its_holder_removes_meanwhile_can_be_had(tmp_path: Path) -> None:
    posts: list[Json] = []

    async def leases(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            posts.append(await request.json())
            if len(posts) == 1:
                return web.json_response({"reason": "AlreadyExists"}, status=409)
            return web.json_response({**posts[-1], "metadata": {"resourceVersion": "1"}})
        if request.method == "DELETE":
            return web.json_response({})
        return web.json_response({"reason": "NotFound"}, status=404)

    async def gone() -> bool:
        return False

    async with (
        server(tmp_path, leases) as api,
        held(api, PATH, {"name": "d-scepsy", "namespace": "default"}, keep=gone),
    ):
        assert len(posts) == 2
