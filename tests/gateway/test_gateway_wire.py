"""The pure parts: requests, answers, events, and what is changed on the way."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scepsy.core.trace import BLOCK_CHARS, Endpoint
from scepsy.gateway.upstreams.rewriting import body_for_engine, headers_for_engine, usage_is_hidden
from scepsy.gateway.wire.answers import AnswerRecord
from scepsy.gateway.wire.errors import ErrorAnswer
from scepsy.gateway.wire.failures import error_message
from scepsy.gateway.wire.prompts import digest, prompt_blocks, prompt_text
from scepsy.gateway.wire.requests import ApiRequest, echoed_ids, read_request
from scepsy.gateway.wire.sse import EventSplitter, data_of, is_usage_only


def asked(endpoint: Endpoint = "chat", **fields: object) -> tuple[bytes, ApiRequest]:
    body = json.dumps({"model": "m", **fields}).encode()
    request = read_request(endpoint, body)
    assert isinstance(request, ApiRequest)
    return body, request


def message(role: str, content: object, **more: object) -> dict[str, object]:
    return {"role": role, "content": content, **more}


@pytest.mark.parametrize(
    ("endpoint", "fields", "text", "items"),
    [
        ("chat", {"messages": [message("user", "hi")]}, "user: hi\n", 1),
        (
            "chat",
            {"messages": [message("user", [{"type": "text", "text": "a"}, {"text": "b"}])]},
            "user: ab\n",
            1,
        ),
        ("chat", {"messages": [message("assistant", None, name="f")]}, "assistant: f\n", 1),
        ("chat", {"tools": [{"x": 1}], "messages": []}, 'tools: {"x":1}\nuser: \n', 1),
        ("responses", {"input": "hi", "instructions": "be"}, "system: be\nuser: hi\n", 1),
        (
            "responses",
            {"input": [{"type": "function_call_output", "output": "4"}]},
            "function_call_output: 4\n",
            1,
        ),
        ("completions", {"prompt": ["a", "b"]}, "ab", 1),
        ("completions", {"prompt": [1, 22]}, "1 22 ", 1),
        ("embeddings", {"input": "a"}, "a", 1),
        ("embeddings", {"input": ["a", "b", "c"]}, "abc", 3),
        ("embeddings", {"input": [1, 2, 3]}, "1 2 3 ", 1),
        ("embeddings", {"input": [[1, 2], [3]]}, "1 2 3 ", 2),
        ("rerank", {"query": "q", "documents": ["a", {"text": "b"}]}, "qab", 2),
        ("score", {"text_1": "q", "text_2": ["a", "b"]}, "qab", 2),
        ("score", {"queries": "q", "documents": ["a"]}, "qa", 1),
    ],
)
def test_the_prompt_is_what_the_llm_reads(
    endpoint: Endpoint, fields: dict[str, object], text: str, items: int
):
    _, request = asked(endpoint, **fields)
    assert prompt_text(endpoint, request.fields) == text
    assert request.items == items


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
known_fields = st.sampled_from(
    [
        *("messages", "input", "prompt", "query", "documents", "text_1", "text_2", "tools"),
        *("instructions", "metadata", "stream", "stream_options", "max_tokens"),
    ]
)
endpoints = st.sampled_from(["chat", "completions", "responses", "embeddings", "rerank", "score"])


@given(endpoints, st.dictionaries(known_fields, json_values), st.booleans())
def test_any_request_fields_are_read(endpoint: Endpoint, fields: dict[str, object], ask: bool):
    """NaN and lone surrogates included: `json.dumps` writes them, and clients use it."""
    body, request = asked(endpoint, **fields)
    text = prompt_text(endpoint, request.fields)
    assert len(prompt_blocks(text)) == -(-len(text) // BLOCK_CHARS)
    assert digest(text)
    assert request.items >= 1
    list(echoed_ids(request.fields))
    sent = body_for_engine(body, request, ask_usage=ask)
    if not ask and "metadata" not in fields:
        assert sent == body


@given(st.binary(max_size=60))
def test_any_bytes_get_an_answer(body: bytes):
    request = read_request("chat", body)
    assert isinstance(request, ApiRequest | ErrorAnswer)
    AnswerRecord().read_whole(body)
    AnswerRecord().read_event(body)
    assert error_message(500, body)


@given(st.text(max_size=900), st.text(max_size=300), st.text(max_size=300))
def test_equal_prefixes_have_equal_blocks_and_no_others(common: str, one: str, other: str):
    first, second = common + one, common + other
    blocks = prompt_blocks(first), prompt_blocks(second)
    shared = sum(1 for a, b in zip(*blocks, strict=False) if a == b)
    for number in range(1, max(map(len, blocks)) + 1):
        end = number * BLOCK_CHARS
        assert (number <= shared) == (
            first[:end] == second[:end] and number <= min(map(len, blocks))
        )
    assert all(len(block) == 12 for block in blocks[0])


def test_the_output_limit_is_read_from_each_of_its_names():
    assert asked(max_completion_tokens=3)[1].max_tokens == 3
    assert asked("responses", max_output_tokens=4)[1].max_tokens == 4
    assert asked(max_tokens="9")[1].max_tokens is asked()[1].max_tokens is None


def test_echoed_ids_are_found_in_both_apis():
    _, chat = asked(
        messages=[
            message("assistant", None, tool_calls=[{"id": "c1"}, {"id": "c2"}]),
            message("tool", "4", tool_call_id="c1"),
        ]
    )
    assert list(echoed_ids(chat.fields)) == ["c1", "c2", "c1"]
    _, responses = asked(
        "responses",
        previous_response_id="resp_1",
        input=[{"type": "function_call_output", "call_id": "c3"}],
    )
    assert list(echoed_ids(responses.fields)) == ["resp_1", "c3"]


def test_only_the_necessary_fields_of_a_request_change():
    body = (
        b'{"model":"m", "big":123456789012345678901234567890, "f":1.50,"stream":true,'
        b'"metadata":{"scepsy_run":"r","k":"v"},"stream_options":null}'
    )
    request = read_request("chat", body)
    assert isinstance(request, ApiRequest)
    assert usage_is_hidden(request)
    assert body_for_engine(body, request, ask_usage=True) == (
        b'{"model":"m","big":123456789012345678901234567890,"f":1.50,"stream":true,'
        b'"stream_options":{"include_usage":true},"metadata":{"k":"v"}}'
    )


@pytest.mark.parametrize("spaces", [b"", b" \n"])
def test_a_priority_is_added_but_never_replaced(spaces: bytes):
    body = spaces + b'{"model":"m", "f":1.50}'
    _, request = asked(model="m")
    ranked = body_for_engine(body, request, ask_usage=False, priority=-7)
    assert ranked == b'{"priority":-7,"model":"m", "f":1.50}'
    for own in (3, None, "high"):
        body, request = asked(priority=own)
        assert body_for_engine(body, request, ask_usage=False, priority=-7) == body
    wide = b'{"model":"m"}'.decode().encode("utf-16-le")
    assert body_for_engine(wide, request, ask_usage=False, priority=-7) == wide


def test_hop_by_hop_and_scepsy_headers_are_not_forwarded():
    sent = [
        ("Host", "gw"),
        ("Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("Accept-Encoding", "gzip"),
        ("X-Scepsy-Run", "r"),
        ("X-Scepsy-Anything", "r"),
        ("baggage", "scepsy.run=r,user=u;p=1"),
        ("Baggage", "scepsy.run=r"),
        ("traceparent", "t"),
        ("X-Request-Id", "q"),
        ("Cookie", "a=b"),
    ]
    assert headers_for_engine(sent) == [
        ("baggage", "user=u;p=1"),
        ("traceparent", "t"),
        ("X-Request-Id", "q"),
        ("Cookie", "a=b"),
        ("Accept-Encoding", "identity"),
    ]


@given(
    st.lists(
        st.sampled_from([b"data: 1\n\n", b": c\r\n\r\n", b"event: x\ndata: {}\n\n", b"a\r\r"])
    ),
    st.sampled_from([b"", b"data: ha"]),
    st.lists(st.integers(0, 80), max_size=12),
)
def test_events_do_not_depend_on_the_chunks_of_the_stream(
    events: list[bytes], tail: bytes, cuts: list[int]
):
    content = b"".join(events) + tail
    places = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    splitter = EventSplitter()
    seen: list[bytes] = []
    for start, end in pairwise(places):
        seen += splitter.feed(content[start:end])
    assert seen == events
    assert splitter.rest == tail


def test_the_usage_event_is_distinguished_from_others():
    usage = b'"usage": {"prompt_tokens": 1}'
    assert is_usage_only(b'data: {"choices": [], ' + usage + b"}\n\n")
    assert not is_usage_only(b'data: {"choices": [{}], ' + usage + b"}\n\n")
    assert not is_usage_only(b'data: {"choices": [], "usage": null}\n\n')
    assert not is_usage_only(
        b'data: {"choices": [{"text": "\\"choices\\": []"}], ' + usage + b"}\n\n"
    )
    assert not is_usage_only(b'data: {"prompt_filter_results": [], "choices": []}\n\n')
    assert data_of(b"event: x\r\ndata: 1\r\ndata: 2\r\n\r\n") == b"1\n2"


def test_an_answer_reads_the_same_streamed_or_whole():
    call = {"id": "c1", "function": {"name": "f", "arguments": "{}"}}
    whole, streamed = AnswerRecord(), AnswerRecord()
    answer = {"choices": [{"message": {"content": "hello", "tool_calls": [call]}}]}
    whole.read_whole(json.dumps({**answer, "usage": {"prompt_tokens": 3}}).encode())
    for delta in ({"role": "assistant", "content": ""}, {"content": "he"}, {"content": "llo"}):
        streamed.read_event(json.dumps({"choices": [{"delta": delta}]}).encode())
    assert streamed.digest != whole.digest
    streamed.read_event(json.dumps({"choices": [{"delta": {"tool_calls": [call]}}]}).encode())
    streamed.read_event(b'{"choices": [], "usage": {"prompt_tokens": 3}}')
    streamed.read_event(b"[DONE]")
    assert streamed.digest == whole.digest
    assert streamed.issued == whole.issued == ["c1"]
    assert streamed.prompt_tokens == whole.prompt_tokens == 3
    assert whole.output_tokens is None


def test_a_responses_stream_is_read():
    answer = AnswerRecord()
    usage = {"input_tokens": 5, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 1}}
    answer.read_event(b'{"type": "response.created", "response": {"id": "resp_1", "usage": null}}')
    assert not answer.has_output
    answer.read_event(b'{"type": "response.output_text.delta", "delta": "hi"}')
    assert answer.has_output
    done = {"id": "resp_1", "usage": usage, "output": [{"call_id": "c1"}]}
    answer.read_event(json.dumps({"type": "response.completed", "response": done}).encode())
    assert (answer.prompt_tokens, answer.cached_tokens, answer.output_tokens) == (5, 1, 2)
    assert set(answer.issued) == {"resp_1", "c1"}


def test_an_error_in_the_stream_is_noticed():
    answer = AnswerRecord()
    answer.read_event(b'{"error": {"message": "EngineCore died", "code": 500}}')
    assert answer.error == "EngineCore died"
    assert error_message(400, b'{"object": "error", "message": "old vLLM"}') == "old vLLM"
    assert error_message(500, b"<html>") == "<html>"
    assert error_message(500, b"") == "status 500"
