"""Odd answers: one odd field loses itself only, and a failure within a 200 is a failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateway_peers import CHAT, DONE, chunk, http_answer, raw_peer, send, sse, the_call

from scepsy.core.trace import Call
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import running
from scepsy.gateway.wire.answers import AnswerRecord

USAGE = {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15}


async def recorded(
    http: aiohttp.ClientSession, traces: Path, answer: bytes, path: str = CHAT, **fields: object
) -> Call:
    """The record of a call that got this answer; the caller must have got its very bytes."""
    async with raw_peer(lambda _: answer) as peer:
        routes = (Route(llm="m", replica="m-0", url=peer.url),)
        async with running(GatewayConfig(routes=routes, traces=str(traces))) as gateway:
            asked = {"stream_options": {"include_usage": True}, "stream": True, **fields}
            back = await send(http, gateway.url + path, {"model": "m", **asked})
    assert back.body == answer.partition(b"\r\n\r\n")[2]
    return the_call(traces)


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def delta(**fields: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": fields}]}


ODD_DELTAS: dict[str, dict[str, object]] = {
    "content in parts": {"content": [{"type": "text", "text": "hi"}]},
    "content as parts within parts": {"content": [{"thinking": [{"text": "hi"}]}]},
    "content as one object": {"content": {"type": "text", "text": "hi"}},
    "arguments as an object": {"tool_calls": [{"function": {"arguments": {"a": 1}}}]},
    "arguments in an old shape": {"function_call": {"name": "f", "arguments": {"a": 1}}},
    "numeric ids": {"content": "hi", "tool_calls": [{"id": 7, "function": {"name": "f"}}]},
    "tool calls that are no list": {"content": "hi", "tool_calls": {"id": "x"}},
    "reasoning in parts": {"reasoning": [{"text": "hi"}]},
    "a refusal": {"refusal": "no"},
}
ODD_USAGES: dict[str, dict[str, object]] = {
    "floats": {"prompt_tokens": 11.0, "completion_tokens": 4.0},
    "strings": {"prompt_tokens": "11", "completion_tokens": "4"},
    "details as a list": {**USAGE, "prompt_tokens_details": []},
    "details as text": {**USAGE, "prompt_tokens_details": "none"},
    "details null": {**USAGE, "prompt_tokens_details": None},
    "names of responses": {"input_tokens": 11, "output_tokens": 4},
    "prompt from the total": {"completion_tokens": 4, "total_tokens": 15, "prompt_tokens": None},
    "an odd neighbour": {**USAGE, "cost": {"x": [1]}, "total_tokens": "many"},
}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("odd", ODD_DELTAS.values(), ids=ODD_DELTAS)
async def test_a_malformed_message_does_not_lose_other_fields(
    http: aiohttp.ClientSession, tmp_path: Path, odd: dict[str, object], streamed: bool
):
    if streamed:
        body = event(id=3, **delta(**odd)) + event(choices=[], usage=USAGE) + DONE
        answer = sse(body)
    else:
        whole = {"id": 3, "choices": [{"message": odd}], "usage": USAGE}
        answer = http_answer(json.dumps(whole).encode())
    call = await recorded(http, tmp_path, answer)
    assert (call.prompt_tokens, call.output_tokens, call.ok) == (11, 4, True)
    assert call.output_digest
    assert (call.first_token is not None) == streamed


@pytest.mark.parametrize("odd", ODD_USAGES.values(), ids=ODD_USAGES)
async def test_an_odd_usage_is_read_as_far_as_it_tells(
    http: aiohttp.ClientSession, tmp_path: Path, odd: dict[str, object]
):
    answer = sse(chunk("hi"), event(choices=[], usage=odd), DONE)
    call = await recorded(http, tmp_path, answer)
    assert (call.prompt_tokens, call.output_tokens, call.cached_tokens) == (11, 4, None)
    assert call.first_token is not None


@pytest.mark.parametrize("nonsense", [-1, 1e300, float("nan"), True, "many", [], {}, 0.5, 10**30])
def test_invalid_token_counts_are_ignored(nonsense: object):
    answer = AnswerRecord()
    usage = {"prompt_tokens": nonsense, "completion_tokens": 3}
    answer.read_whole(json.dumps({"choices": [], "usage": usage}).encode())
    assert (answer.prompt_tokens, answer.output_tokens) == (None, 3)


def test_usage_in_every_chunk_counts_once_and_null_forgets_nothing():
    answer = AnswerRecord()
    for output in (1, 2, 3):
        usage = {"prompt_tokens": 11, "completion_tokens": output}
        answer.read_event(json.dumps({**delta(content="x"), "usage": usage}).encode())
    answer.read_event(b'{"choices": [], "usage": null}')
    assert (answer.prompt_tokens, answer.output_tokens) == (11, 3)


def test_bytes_that_are_no_utf8_are_read():
    answer = AnswerRecord()
    answer.read_event(
        b'{"choices": [{"delta": {"content": "caf\xe9"}}], "usage": {"prompt_tokens": 2}}'
    )
    assert (answer.has_output, answer.prompt_tokens) == (True, 2)


def test_values_outside_json_are_read():
    answer = AnswerRecord()
    answer.read_event(
        b'{"choices": [{"delta": {"content": "x"}, "logprob": NaN}], "usage": {"prompt_tokens": 2}}'
    )
    assert (answer.has_output, answer.prompt_tokens) == (True, 2)


BODIES = {
    "responses error": ({"type": "error", "code": "x", "message": "no luck"}, "no luck"),
    "response.failed, null": (
        {"type": "response.failed", "response": {"status": "failed", "error": None}},
        "failed",
    ),
    "response.failed": (
        {"type": "response.failed", "response": {"error": {"message": "no luck"}}},
        "no luck",
    ),
    "object error": ({"object": "error", "message": "no luck", "code": 400}, "no luck"),
    "message null": ({"error": {"message": None}}, "unnamed error"),
    "message null with a type": ({"error": {"message": None, "type": "overloaded"}}, "overloaded"),
    "text": ({"error": "no luck"}, "no luck"),
    "true": ({"error": True, "message": "no luck"}, "no luck"),
    "empty": ({"error": {}}, "unnamed error"),
    "nested": ({"error": {"error": {"x": "no luck"}}}, "no luck"),
    "anthropic": ({"type": "error", "error": {"type": "overloaded_error"}}, "overloaded_error"),
    "detail": ({"detail": "no luck"}, "no luck"),
    "code and message": ({"code": 50501, "message": "no luck", "data": None}, "no luck"),
    "choice": ({"choices": [{"delta": {}, "finish_reason": "error"}]}, "finish_reason error"),
    "choice's error": ({"choices": [{"delta": {}, "error": {"message": "no luck"}}]}, "no luck"),
    "errors": ({"errors": [{"message": "no luck"}]}, "no luck"),
}  # fmt: skip


@pytest.mark.parametrize("shape", ["event", "last event", "after tokens", "whole", "bare"])
@pytest.mark.parametrize(("body", "words"), BODIES.values(), ids=BODIES)
async def test_a_failure_within_a_200_is_a_failure(
    http: aiohttp.ClientSession, tmp_path: Path, body: dict[str, Any], words: str, shape: str
):
    answers = {
        "event": sse(event(**body), DONE),
        "last event": sse(event(**body).strip()),
        "after tokens": sse(chunk("hi"), event(**body)),
        "whole": http_answer(json.dumps(body).encode()),
        "bare": sse(json.dumps(body).encode()),
    }
    call = await recorded(http, tmp_path, answers[shape])
    assert (call.status, call.ok) == (200, False)
    assert words in (call.error or "")


@pytest.mark.parametrize(
    "lines",
    [
        b"event: error\ndata: no luck\n\n",
        b'event: error\r\ndata: {"detail": "no luck"}\r\n\r\n',
        b'data: {"message": "no luck"}\nevent: error\n\n',
        b'id: 4\revent:error\rdata: {"msg": "no luck"}\r\r',
        b"event: error\ndata: no luck",
        b'data: {"error":\ndata: "no luck"}\n\n',
    ],
)
async def test_an_error_event_is_a_failure(
    http: aiohttp.ClientSession, tmp_path: Path, lines: bytes
):
    call = await recorded(http, tmp_path, sse(b": ping\n\n", chunk("hi"), lines))
    assert (call.ok, call.error) == (False, "no luck")


@pytest.mark.parametrize("body", [b"", b"<html>log in</html>", b"{"])
async def test_a_200_that_is_no_answer_is_a_failure(
    http: aiohttp.ClientSession, tmp_path: Path, body: bytes
):
    assert not (await recorded(http, tmp_path, http_answer(body))).ok


@pytest.mark.parametrize(
    "body",
    [
        {"error": None, "status": "completed", "object": "response", "output": []},
        {"object": "response", "status": "incomplete", "incomplete_details": {"reason": "x"}},
        {"choices": [{"message": {"content": "error"}, "finish_reason": "length"}], "error": None},
        {"choices": [], "error": {}, "message": "ok"},
        {"data": [{"embedding": "AAAA"}], "model": "m"},
        {"results": [], "message": "fine", "code": 0},
    ],
)
async def test_a_valid_answer_is_not_a_failure(
    http: aiohttp.ClientSession, tmp_path: Path, body: dict[str, Any]
):
    assert (await recorded(http, tmp_path, http_answer(json.dumps(body).encode()))).ok


@pytest.mark.parametrize("end", [b"\n\n", b"\n", b"", b"\r\n\r\n", b"\r\r", b"\n\r\n", b"\r\n"])
async def test_the_last_event_counts_however_it_ends(
    http: aiohttp.ClientSession, tmp_path: Path, end: bytes
):
    last = event(choices=[], usage=USAGE).strip() + end
    call = await recorded(http, tmp_path, sse(chunk("hi"), b": comment\r\n\r\n", last))
    assert (call.prompt_tokens, call.output_tokens) == (11, 4)


async def test_added_usage_is_hidden_in_the_last_event_too(
    http: aiohttp.ClientSession, tmp_path: Path
):
    answer = sse(chunk("hi"), event(choices=[], usage=USAGE).strip())
    async with raw_peer(lambda _: answer) as peer:
        routes = (Route(llm="m", replica="m-0", url=peer.url),)
        async with running(GatewayConfig(routes=routes, traces=str(tmp_path))) as gateway:
            back = await send(http, gateway.url + CHAT, {"model": "m", "stream": True})
    assert back.body == chunk("hi")
    assert the_call(tmp_path).output_tokens == 4


async def test_every_kind_of_line_end_is_accepted(http: aiohttp.ClientSession, tmp_path: Path):
    for number, line_end in enumerate((b"\n", b"\r\n", b"\r")):
        events = (chunk("hi") + event(choices=[], usage=USAGE) + DONE).replace(b"\n", line_end)
        call = await recorded(http, tmp_path / str(number), sse(events))
        assert (call.output_tokens, call.first_token is None) == (4, False)
