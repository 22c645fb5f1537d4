"""Names from outside are checked where they arrive: a bad label costs the label, not the call."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from gateway_peers import CHAT, all_calls, ask_admin, completion, gateway_to, says, send, the_call
from hypothesis import example, given
from hypothesis import strategies as st

from scepsy.errors import BadInput
from scepsy.gateway.config import Route, check_routes
from scepsy.gateway.identity.labels import SESSION_HEADERS, identify, locate, trace_id
from scepsy.gateway.names import NAME_BYTES_MAX, is_name, name_instead

ODD = (
    "\xff\udcff",
    "a\x1b[31mb",
    "a\nb",
    "\u202eabc",
    "x" * 257,
    "\N{SNOWMAN}" * 86,
    "\ufffd",
    " ",
)
_ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=400)


@given(_ANY_TEXT)
@example("\ud800")
@example("\ufffd")
def test_what_counts_as_a_name_can_be_written_anywhere(text: str):
    if is_name(text):
        assert len(text.encode()) <= NAME_BYTES_MAX
        assert text.isprintable()
        assert name_instead(text) == text
    else:
        shown = name_instead(text)
        assert is_name(shown)
        assert shown == name_instead(text) != text


def test_two_long_names_are_shown_differently():
    assert name_instead("x" * 1_000_000 + "a") != name_instead("x" * 1_000_000 + "b")


@pytest.mark.parametrize("odd", ODD)
def test_a_bad_label_counts_as_missing(odd: str):
    here = locate("/v1/chat/completions")
    for name in ("x-scepsy-run", *SESSION_HEADERS):
        said = identify({name: odd}, here, {})
        assert (said.run, said.layer, said.refused) == (None, "none", 1)
    said = identify({"x-scepsy-workflow": odd, "x-session-id": "s"}, here, {})
    assert (said.run, said.workflow, said.refused) == ("s", None, 1)
    said = identify({"x-session-id": "s"}, here, {"metadata": {"scepsy_run": odd}})
    assert (said.run, said.layer, said.refused) == ("s", "session", 1)


def test_a_trace_id_is_hexadecimal():
    good = "0af7651916cd43dd8448eb211c80319c"
    assert trace_id({"traceparent": f"00-{good}-b7ad6b7169203331-01"}) == good
    bad = "\udcff" * 32
    assert trace_id({"traceparent": f"00-{bad}-b7ad6b7169203331-01"}) is None


async def test_bytes_that_are_no_text_cost_the_label_alone(
    http: aiohttp.ClientSession, tmp_path: Path
):
    async with gateway_to(says(completion()), tmp_path) as (_, gateway):
        host, port = gateway.url.removeprefix("http://").split(":")
        for name in (b"x-scepsy-run", b"x-session-id", b"x-scepsy-workflow", b"traceparent"):
            reader, writer = await asyncio.open_connection(host, int(port))
            body = b'{"model": "m"}'
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\n"
                b"%s: \xff\r\nContent-Length: %d\r\n\r\n" % (name, len(body)) + body
            )
            assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 200 ")
            writer.close()
        metadata = {"metadata": {"scepsy_run": "\ud800", "scepsy_workflow": "w"}}
        assert (await send(http, gateway.url + CHAT, {"model": "m", **metadata})).status == 200
        status = (await ask_admin(http, gateway, "/scepsy/status")).json()
        metrics = (await ask_admin(http, gateway, "/metrics")).body.decode()
    calls = all_calls(tmp_path)
    assert len(calls) == 5
    assert {call.layer for call in calls} <= {"time", "none"}
    assert status["refused_labels"] == 4
    assert "scepsy_gateway_labels_refused_total{} 4\n" in metrics


@pytest.mark.parametrize("odd", [*ODD[:-1], "x" * 1_000_000])
async def test_an_odd_model_name_is_refused_and_recorded_in_few_bytes(
    http: aiohttp.ClientSession, tmp_path: Path, odd: str
):
    async with gateway_to(says(completion()), tmp_path) as (_, gateway):
        back = await send(http, gateway.url + CHAT, json.dumps({"model": odd}).encode())
        metrics = await ask_admin(http, gateway, "/metrics")
    assert back.status == 404
    assert back.json()["error"]["code"] == "model_not_found"
    assert len(back.body) < 1_000
    assert len(metrics.body) < 5_000
    assert is_name(the_call(tmp_path).llm)


@pytest.mark.parametrize("field", ["run", "workflow"])
async def test_a_mark_needs_names(http: aiohttp.ClientSession, tmp_path: Path, field: str):
    mark = {"run": "r", "workflow": "w", "start": 1.0, "end": 2.0}
    async with gateway_to(says(completion()), tmp_path) as (_, gateway):
        url = gateway.url + "/scepsy/runs"
        assert (await send(http, url, {**mark, field: "\x1b"})).status == 400
        assert (await send(http, url, mark)).status == 200


@pytest.mark.parametrize("field", ["llm", "replica"])
def test_a_route_needs_names(field: str):
    names = {"llm": "m", "replica": "m-0", field: "x" * 1_000_000}
    with pytest.raises(BadInput, match="is no name") as refused:
        check_routes([Route(**names, url="http://127.0.0.1:1")])
    assert len(str(refused.value)) < 500
