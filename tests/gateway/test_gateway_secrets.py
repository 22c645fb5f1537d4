"""Canaries: secrets that go through a gateway are found nowhere that it writes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import aiohttp
import msgspec
import pytest
from aiohttp import web
from click.testing import CliRunner
from gateway_peers import CHAT, DONE, all_calls, chunk, completion, peer, says, send
from hypothesis import given
from hypothesis import strategies as st
from test_gateway_process import gateway_process

from builders import call
from scepsy.cli.main import cli
from scepsy.core.llm import LlmSpec
from scepsy.core.recording import RecordingOptions
from scepsy.core.secrets import HIDDEN, credentials, public_url, without_secrets
from scepsy.engines.endpoint import EndpointEngine
from scepsy.errors import BadInput
from scepsy.gateway.access.admin_access import read_access
from scepsy.gateway.config import AdminConfig, GatewayConfig, Route
from scepsy.gateway.recording.redaction import Redaction, compiled
from scepsy.gateway.server import running
from scepsy.planning.input_faults import llm_faults

CALLER, X_KEY, OURS, PASSWORD = "canary-caller-1", "canary-x-key-2", "canary-ours-3", "canary-pw-4"
CANARY = re.compile("canary-[a-z-]+-[0-9]")


async def echo(request: web.Request) -> web.StreamResponse:
    """An engine that repeats the credentials that it was sent."""
    body = await request.text()
    if "lost" in body:
        assert request.transport is not None
        request.transport.abort()
    said = " and ".join(request.headers.get(name, "") for name in ("Authorization", "X-Api-Key"))
    if "stream" in body:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in (f"you sent {said[:15]}", said[15:]):
            await response.write(chunk(part))
        await response.write(DONE)
        return response
    if "well" in body:
        return web.Response(body=completion(said), content_type="application/json")
    error = {"error": {"message": f"wrong key: {said}", "type": "auth", "code": "x"}}
    return web.json_response(error, status=401)


async def test_no_secret_is_in_traces_logs_status_metrics_or_errors(
    http: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OUR_KEY", OURS)
    async with peer(echo) as engine:
        secret = engine.url.replace("://", f"://user:{PASSWORD}@")
        config = GatewayConfig(
            routes=(
                Route(llm="m", replica="m-0", url=engine.url),
                Route(llm="keyed", replica="k-0", url=engine.url, api_key_env="OUR_KEY"),
                Route(llm="passworded", replica="p-0", url=secret, engine="endpoint"),
                Route(
                    llm="gone",
                    replica="g-0",
                    url=f"http://user:{PASSWORD}@127.0.0.1:1/v1?key={PASSWORD}",
                    engine="endpoint",
                ),
            ),
            traces=str(tmp_path / "t"),
            record_content=True,
            admin=AdminConfig(file=str(tmp_path / "admin.json")),
        )
        ours: list[bytes] = []
        with gateway_process(tmp_path, config) as (url, child):
            for llm in ("m", "keyed", "passworded", "gone"):
                for word in ("well", "stream", "bad", "lost"):
                    body = {"model": llm, "prompt": f"{word}, and {CALLER}"}
                    if word == "stream":
                        body["stream"] = True  # pyright: ignore
                    headers = {"Authorization": f"Bearer {CALLER}", "X-Api-Key": X_KEY}
                    back = await send(http, f"{url}/v1/completions", body, **headers)
                    if back.status >= 500:
                        ours.append(back.body)
            admin = read_access(tmp_path / "admin.json")
            assert admin is not None
            for where, path in (
                *((url, path) for path in ("/v1/models", "/no/such", "/metrics")),
                *((admin.url, path) for path in ("/scepsy/status", "/metrics", "/no/such")),
            ):
                asked = f"{where}{path}?api_key={CALLER}"
                ours.append((await send(http, asked, b"", "GET", **admin.headers)).body)
            routes = [{"llm": "m", "replica": "r", "url": f"ftp://u:{PASSWORD}@h/"}]
            back = await send(http, f"{admin.url}/scepsy/routes", routes, "PUT", **admin.headers)
            assert back.status == 400
            ours.append(back.body)
            child.terminate()
            assert child.wait(20) == 0
            assert child.stderr is not None
            ours.append(child.stderr.read().encode())
        assert len(all_calls(tmp_path / "t")) == 16
        ours += [file.read_bytes() for file in (tmp_path / "t").iterdir()]
    assert len(ours) > 8
    assert not {found for text in ours for found in CANARY.findall(text.decode())}
    assert any(HIDDEN.encode() in text for text in ours)


async def test_content_is_recorded_only_when_it_is_asked_for(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with peer(says(completion("an answer"))) as engine:
        for asked in (False, True):
            config = GatewayConfig(
                routes=(Route(llm="m", replica="m-0", url=engine.url),),
                traces=str(tmp_path / str(asked)),
                record_content=asked,
            )
            async with running(config) as gateway:
                await send(http, gateway.url + CHAT, {"model": "m", "prompt": "a question"})
            (one,) = all_calls(tmp_path / str(asked))
            assert ((one.request is not None), (one.response is not None)) == (asked, asked)


async def test_recorded_content_is_redacted_by_pattern_and_by_a_function(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with peer(says(completion("call Ada at 555-1234"))) as engine:
        config = GatewayConfig(
            routes=(Route(llm="m", replica="m-0", url=engine.url),),
            traces=str(tmp_path),
            record_content=True,
            recording=RecordingOptions(redact=(r"\d{3}-\d{4}",)),
        )
        async with running(config, redact=lambda text: text.replace("Ada", "A.")) as gateway:
            back = await send(http, gateway.url + CHAT, {"model": "m", "prompt": "Ada, 555-9999"})
    assert b"Ada at 555-1234" in back.body
    (one,) = all_calls(tmp_path)
    assert one.request == f'{{"model": "m", "prompt": "A., {HIDDEN}"}}' or json.loads(
        one.request or ""
    ) == {"model": "m", "prompt": f"A., {HIDDEN}"}
    assert f"call A. at {HIDDEN}" in (one.response or "")


def test_what_is_spread_over_the_events_of_a_stream_is_found():
    events = (chunk("my number is 555"), chunk("-12"), chunk("34, call"), DONE)
    stream = b"".join(events).decode()
    seen = Redaction(compiled([r"\d{3}-\d{4}"]))(call("m", 0.0, 1.0, response=stream, stream=True))
    assert seen.response == f"my number is {HIDDEN}, call"
    kept = Redaction(compiled(["nothing"]))(call("m", 0.0, 1.0, response=stream, stream=True))
    assert kept.response == stream


def test_escapes_hide_nothing():
    body = '{"content": "Gr\\u00fcn\\u0065r \\u0073k-abcdefghijklmnopqrst"}'
    seen = Redaction(compiled(["Grüner"]))(call("m", 0.0, 1.0, request=body))
    assert msgspec.json.decode(seen.request or "") == {"content": f"{HIDDEN} {HIDDEN}"}


def test_a_redaction_that_fails_keeps_no_content(caplog: pytest.LogCaptureFixture):
    def fails(text: str) -> str:
        raise ValueError(text)

    one = call("m", 0.0, 1.0, request="canary-x-1", response="canary-x-1", error="canary-x-1")
    seen = Redaction(also=fails)(one)
    assert (seen.request, seen.response, seen.error) == (None, None, HIDDEN)
    assert "redaction failed: ValueError" in caplog.text
    assert "canary" not in caplog.text


async def test_a_bad_pattern_is_refused_at_the_start():
    config = GatewayConfig(recording=RecordingOptions(redact=("good", "(")))
    with pytest.raises(BadInput, match=r"recording\.redact\[1\]: '\(' is no regular expression"):
        async with running(config):
            pass


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h:1/v1", "http://h:1/v1"),
        ("http://u:p@h:1/v1", f"http://{HIDDEN}@h:1/v1"),
        ("http://token@h", f"http://{HIDDEN}@h"),
        ("http://u:p@ss@[::1]:1", f"http://{HIDDEN}@[::1]:1"),
        ("http://h/v1?key=abc#x", f"http://h/v1?{HIDDEN}"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str):
    assert public_url(url) == shown


@given(
    st.sampled_from(
        [
            "Bearer {}",
            "authorization: bearer {}",
            "sk-proj-{}",
            "hf_{}",
            "key sk-ant-{}!",
            "https://me:{}@host/",
        ]
    ),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=20, max_size=60),
    st.text(" ,.\n", max_size=3),
)
def test_what_looks_like_a_secret_is_hidden(shape: str, secret: str, around: str):
    text = around + shape.format(secret) + around
    assert secret not in without_secrets(text)


@pytest.mark.parametrize("text", ["the bearer of news", "task-force", "see http://h/a@b", "EMPTY"])
def test_plain_words_stay(text: str):
    assert without_secrets(text) == text


def test_dummy_keys_are_no_credentials():
    hide: Callable[..., tuple[str, ...]] = lambda **headers: credentials(headers)  # noqa: E731
    assert hide(authorization="Bearer EMPTY") == ()
    assert hide(authorization="Bearer long-enough") == ("long-enough",)
    assert hide(authorization="  ") == ()


def test_the_planner_and_commands_show_no_password(tmp_path: Path):
    spec = LlmSpec(name="m", engine="endpoint", url=f"http://me:{PASSWORD}@127.0.0.1:1/v1")
    nothing = cast(Any, None)
    with pytest.raises(BadInput) as raised:
        EndpointEngine().launch(spec, nothing, port=1, options=nothing)
    assert HIDDEN in str(raised.value)
    assert not CANARY.search(str(raised.value))
    wrong = msgspec.structs.replace(spec, url=f"ftp://me:{PASSWORD}@h")
    (fault,) = [fault for fault in llm_faults((wrong,)) if fault[0].endswith("url")]
    assert not CANARY.search(fault[1])
    argv = ["trace", "--out", str(tmp_path), "--upstream", spec.url or "", "--", "true"]
    seen = CliRunner().invoke(cli, argv)
    assert "cannot be reached" in str(seen.exception)
    assert not CANARY.search(f"{seen.output}{seen.exception}")
