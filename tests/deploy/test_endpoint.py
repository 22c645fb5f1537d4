"""An LLM at somebody else's HTTPS endpoint in a deployment: routed to, recorded, never started."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from gateway.gateway_peers import completion, send
from scepsy.core.cluster import Cluster, Node
from scepsy.core.llm import LlmSpec
from scepsy.core.plan import Plan, Target
from scepsy.core.trace import Call
from scepsy.demo.manual_plans import even_split
from scepsy.deploy import LocalBackend
from scepsy.engines import EngineOptions
from scepsy.errors import BadInput
from scepsy.gateway.access.admin_access import read_access
from scepsy.store import read_traces

KEY, SECRET = "THE_ENDPOINTS_KEY", "sk-do-not-write-me-down"
OURS = LlmSpec(name="ours", parameters=1e9, layers=4, hidden=512, kv_heads=4, head_dim=64)


def plan(url: str) -> Plan:
    hosted = LlmSpec(name="gpt", engine="endpoint", url=url, api_key_env=KEY)
    cluster = Cluster(nodes=(Node(name="n", gpus=1),))
    return even_split([OURS, hosted], cluster, [Target(workflow="w", rate=1)])


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalBackend]:
    backend = LocalBackend(tmp_path / "state", EngineOptions(exit_with_parent=True))
    yield backend
    for found in backend.root.glob("*/state.json"):
        await backend.down(found.parent.name)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    crt, key = folder / "it.crt", folder / "it.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(crt)],
        check=True, capture_output=True,
    )  # fmt: skip
    return crt, key


async def test_it_gets_its_own_key_over_tls_and_nobody_writes_that_down(
    local: LocalBackend,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers["Authorization"]))
        return web.Response(body=completion(), content_type="application/json")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}/base/v1"
    monkeypatch.setenv(KEY, SECRET)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    try:
        deployed = await local.apply(plan(url), traces=tmp_path / "traces")
        assert deployed.replicas == ("ours-0",)
        chat = {"model": "gpt", "messages": [{"role": "user", "content": "hello"}]}
        async with aiohttp.ClientSession() as http:
            path = f"{deployed.url}/w/flow/run-1/v1/chat/completions"
            back = await send(http, path, chat, Authorization="Bearer the-callers-own")
            ours = await send(http, path, {**chat, "model": "ours", "max_tokens": 2})
    finally:
        await runner.cleanup()
    assert (back.status, ours.status) == (200, 200), back.body
    assert seen == [("/base/v1/chat/completions", f"Bearer {SECRET}")]
    # The gateway process writes records in batches, some milliseconds after the answers.
    async with asyncio.timeout(30):
        while len(calls := _recorded(tmp_path / "traces")) < 2:  # noqa: ASYNC110 - it is a process
            await asyncio.sleep(0.05)
    assert [(call.llm, call.replica) for call in calls] == [
        ("gpt", "gpt-endpoint"),
        ("ours", "ours-0"),
    ]
    written = _files(tmp_path)
    assert len(written) > 4
    assert not [path for path, content in written.items() if SECRET.encode() in content]
    assert SECRET not in json.dumps(await _status(local))


async def test_without_its_key_nothing_is_started(local: LocalBackend) -> None:
    with pytest.raises(BadInput, match=KEY):
        await local.apply(plan("https://127.0.0.1:9/v1"))
    assert not list(local.root.glob("*"))


def _recorded(traces: Path) -> list[Call]:
    return [call for trace in read_traces(traces).traces for call in trace.calls]


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def _status(local: LocalBackend) -> object:
    access = read_access(local.files.gateway_admin("default"))
    assert access is not None
    url = f"{access.url}/scepsy/status"
    async with aiohttp.ClientSession(headers=access.headers) as http, http.get(url) as answer:
        return await answer.json()
