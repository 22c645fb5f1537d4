"""Who may govern a gateway: only who has the admin key, at an address of its own."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateway_peers import CHAT, ask_admin, completion, gateway_to, peer, says, send
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from scepsy.core.trace import RunMark
from scepsy.errors import BadInput, NotFound
from scepsy.gateway.access.admin_access import AdminAccess, read_access, write_access
from scepsy.gateway.access.admin_guard import is_known_host, refusal
from scepsy.gateway.config import AdminConfig, GatewayConfig, Route
from scepsy.gateway.server import running

OK = says(completion("fine"))
GOVERNING = (
    ("GET", "/metrics"), ("GET", "/scepsy/status"), ("PUT", "/scepsy/routes"),
    ("PUT", "/scepsy/fence"), ("PUT", "/scepsy/closed"),
)  # fmt: skip
ENGINES_OWN = (
    "/sleep", "/wake_up", "/is_sleeping", "/collective_rpc", "/server_info", "/reset_prefix_cache",
    "/load_lora_adapter", "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/start_profile",
    "/metrics", "/scale_elastic_ep", "/update_weights", "/flush_cache", "/slots", "/props",
)  # fmt: skip
DETOURS = (
    "{}", "/{}", "/v1/..{}", "/v1/%2e%2e{}", "/v1/models/..%2f..{}", "/v1/models/../..{}",
    "/v1/models/%2e%2e/%2e%2e{}", "/w/a/b/../../..{}", "/w/a{}", "/w/a/b{}", "/w/%2e%2e/b{}",
    "/v1/chat/completions/../../..{}", "/v1/chat/completions;{}", "/v1/models/.{}/..{}",
    "/v1/models/x/../../..{}", "//v1/models/..{}", "http://engine{}",
)  # fmt: skip


@pytest.mark.parametrize(("method", "path"), GOVERNING)
async def test_the_address_of_calls_does_not_govern(
    http: aiohttp.ClientSession, method: str, path: str
) -> None:
    async with gateway_to(OK) as (_, gateway):
        for headers in ({}, gateway.admin.headers):
            back = await send(http, gateway.url + path, b"[]", method, **headers)
            assert back.status in (404, 405)
        assert (await send(http, gateway.url + CHAT, {"model": "m"})).status == 200


@pytest.mark.parametrize(("method", "path"), GOVERNING)
async def test_the_admin_address_wants_its_key(
    http: aiohttp.ClientSession, method: str, path: str
) -> None:
    async with gateway_to(OK) as (_, gateway):
        url = gateway.admin.url + path
        for wrong in ({}, {"X-Scepsy-Admin-Key": "k"}, {"Authorization": "Bearer k"}):
            back = await send(http, url, b"[]", method, **wrong)
            assert (back.status, back.json()["error"]["code"]) == (401, "invalid_admin_key")
        bearer = {"Authorization": f"Bearer {gateway.admin.key}"}
        assert (await send(http, url, b"[]", method, **bearer)).status == 200


async def test_the_admin_address_serves_no_calls(http: aiohttp.ClientSession) -> None:
    async with gateway_to(OK) as (engine, gateway):
        assert (await ask_admin(http, gateway, CHAT, {"model": "m"}, "POST")).status == 404
        assert engine.calls == 0


@pytest.mark.parametrize(
    "odd", [{"Origin": "http://localhost"}, {"Origin": "null"}, {"Host": "evil.example"}]
)
async def test_a_browser_s_page_may_not_govern_even_with_the_key(
    http: aiohttp.ClientSession, odd: dict[str, str]
) -> None:
    async with gateway_to(OK) as (_, gateway):
        back = await ask_admin(http, gateway, "/scepsy/status", **odd)
        assert back.status == 403


@given(st.from_regex(r"([a-z0-9-]{1,9}\.){0,3}[a-z]{1,9}(:[0-9]{1,4})?", fullmatch=True))
def test_a_name_is_known_only_if_it_was_named(host: str) -> None:
    name = host.partition(":")[0]
    assert is_known_host(host, ()) is (name == "localhost")
    assert is_known_host(host, (name,))
    assert is_known_host(host, ("*",))


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8081", True), ("localhost", True), ("LOCALHOST:1", True), ("[::1]:80", True),
        ("10.1.2.3", True), ("gw.internal:80", True), ("", False), ("evil.example:80", False),
        ("localhost.evil.example", False), ("127.0.0.1.evil.example", False),
        ("evil@localhost:80", True), ("[::1", False), ("localhost:port", True),
    ],
)  # fmt: skip
def test_hosts(host: str, known: bool) -> None:
    assert is_known_host(host, ("gw.internal",)) is known


@given(st.text(), st.text(min_size=1))
def test_only_the_key_opens(presented: str, key: str) -> None:
    headers = CIMultiDict({"Host": "localhost", "X-Scepsy-Admin-Key": presented})
    assert (refusal(headers, key) is None) is (presented == key)


async def test_a_route_may_not_name_any_environment_variable(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_SOMEBODY", "hush")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    async with peer(OK) as thief:
        config = GatewayConfig(key_variables=("OPENAI_API_KEY",))
        async with running(config) as gateway:
            route = {"llm": "m", "replica": "m-0", "url": thief.url, "engine": "endpoint"}
            stolen = [{**route, "api_key_env": "SECRET_OF_SOMEBODY"}]
            back = await ask_admin(http, gateway, "/scepsy/routes", stolen, "PUT")
            assert back.status == 400
            assert "may not send the environment variable" in back.json()["error"]["message"]
            with pytest.raises(BadInput, match="SECRET_OF_SOMEBODY"):
                gateway.replace_routes(
                    [Route(llm="m", replica="m-0", url=thief.url, api_key_env="SECRET_OF_SOMEBODY")]
                )
            allowed = [{**route, "api_key_env": "OPENAI_API_KEY"}]
            assert (await ask_admin(http, gateway, "/scepsy/routes", allowed, "PUT")).status == 200
            await send(http, gateway.url + CHAT, {"model": "m"})
    assert ("Authorization", "Bearer sk-1") in thief.headers[-1]
    assert "hush" not in str(thief.headers)


@pytest.mark.parametrize("path", ENGINES_OWN)
async def test_nothing_of_an_engine_s_own_is_reachable(
    http: aiohttp.ClientSession, path: str
) -> None:
    async with peer(OK) as engine, peer(OK) as upstream:
        route = Route(llm="m", replica="m-0", url=engine.url)
        config = GatewayConfig(routes=(route,), upstream=upstream.url)
        async with running(config) as gateway:
            host, _, port = gateway.url.removeprefix("http://").rpartition(":")
            for detour in DETOURS:
                for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD"):
                    await raw(host, int(port), method, detour.format(path, path))
        asked = [one for one in (*engine.paths, *upstream.paths) if one != "/v1/models"]
    assert asked == []


async def raw(host: str, port: int, method: str, target: str) -> None:
    """A request whose target no client library has touched."""
    reader, writer = await asyncio.open_connection(host, port)
    body = b'{"model": "m", "level": 2}'
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await reader.read()
    writer.close()


async def test_a_redirect_of_the_pass_through_server_is_passed_on(
    http: aiohttp.ClientSession,
) -> None:
    async def elsewhere(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": f"{inner.url}/latest/meta-data"})

    async with (
        peer(OK) as inner,
        peer(elsewhere) as upstream,
        running(GatewayConfig(upstream=upstream.url)) as gateway,
    ):
        for path in ("/v1/models", "/v1/models/org/name"):
            async with http.get(gateway.url + path, allow_redirects=False) as response:
                assert response.status == 302
    assert upstream.paths == ["/v1/models", "/v1/models/org/name"]
    assert inner.paths == []


@pytest.mark.parametrize("declared", ["text/plain", "application/x-www-form-urlencoded", ""])
@pytest.mark.parametrize("path", ["/scepsy/runs", CHAT])
async def test_a_body_must_be_declared_as_json(
    http: aiohttp.ClientSession, tmp_path: Path, path: str, declared: str
) -> None:
    async with gateway_to(OK, tmp_path) as (engine, gateway):
        back = await send(http, gateway.url + path, b"{}", **{"Content-Type": declared})
        assert (back.status, back.json()["error"]["code"]) == (415, "unsupported_media_type")
        assert engine.calls == 0
        body = {"model": "m"}
        declared_well = {"Content-Type": "Application/JSON; charset=utf-8"}
        assert (await send(http, gateway.url + CHAT, body, **declared_well)).status == 200


async def test_a_page_may_not_mark_runs(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    mark: Any = {"workflow": "w", "run": "r", "start": 1.0, "end": 2.0}
    async with gateway_to(OK, tmp_path) as (_, gateway):
        url = gateway.url + "/scepsy/runs"
        assert (await send(http, url, mark, Origin="http://evil.example")).status == 403
        assert (await send(http, url, mark)).status == 200
    assert RunMark(**mark).run == "r"


async def test_the_file_with_the_key_is_its_owner_s_alone_and_goes_with_the_gateway(
    http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    path = tmp_path / "admin.json"
    before = os.umask(0)
    try:
        async with running(GatewayConfig(admin=AdminConfig(file=str(path)))) as gateway:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert read_access(path) == gateway.admin
            assert gateway.admin.calls == gateway.url
            assert (await ask_admin(http, gateway, "/metrics")).status == 200
    finally:
        os.umask(before)
    assert not path.exists()
    assert read_access(path) is None
    assert "hush" not in repr(AdminAccess(url="u", key="hush"))


async def test_each_start_makes_a_new_key_unless_one_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(GatewayConfig()) as one, running(GatewayConfig()) as other:
        assert one.admin.key != other.admin.key
    given = GatewayConfig(admin=AdminConfig(key_env="KEY_OF_TEST"))
    with pytest.raises(NotFound, match="KEY_OF_TEST"):
        async with running(given):
            pass
    monkeypatch.setenv("KEY_OF_TEST", "short")
    with pytest.raises(BadInput, match="shorter than 16 bytes"):
        async with running(given):
            pass
    monkeypatch.setenv("KEY_OF_TEST", "0123456789abcdef")
    async with running(given) as gateway:
        assert gateway.admin.key == "0123456789abcdef"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be written"):
        write_access(tmp_path / "none" / "admin.json", AdminAccess(url="u", key="k"))
    (tmp_path / "odd.json").write_bytes(b"\xff{")
    assert read_access(tmp_path / "odd.json") is None
