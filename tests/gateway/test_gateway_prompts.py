"""Prompts whose parts are no text, and the dialects of embeddings, rerank and score."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateway_peers import CHAT, completion, gateway_to, says, send, the_call

from scepsy.core.trace import Call, Endpoint
from scepsy.gateway.wire.prompts import prompt_text
from scepsy.gateway.wire.requests import ENDPOINTS, ApiRequest, read_request
from scepsy.profiler.replay.synthesis import request_for
from scepsy.store.trace_files import files_of

BYTES = base64.b64encode(bytes(range(256)) * 2_000).decode()  # 680 kB
URL = "data:image/png;base64," + BYTES

MEDIA: dict[str, dict[str, Any]] = {
    "image": {"type": "image_url", "image_url": {"url": URL}},
    "image by its url": {"type": "image_url", "image_url": URL},
    "image of responses": {"type": "input_image", "image_url": URL},
    "image of anthropic": {"type": "image", "source": {"type": "base64", "data": BYTES}},
    "image without type": {"image": BYTES},
    "audio": {"type": "input_audio", "input_audio": {"data": BYTES, "format": "wav"}},
    "video": {"type": "video_url", "video_url": {"url": URL}},
    "file": {"type": "file", "file": {"file_data": URL, "filename": "a.pdf"}},
    "file of responses": {"type": "input_file", "file_data": URL},
    "inline data": {"inline_data": {"data": BYTES, "mime_type": "image/png"}},
    "a tool's image": {
        "type": "tool_result",
        "content": [{"type": "image", "source": {"data": BYTES}}],
    },
    "within something else": {"result": {"screens": [{"png": URL}]}},
}


def chat(*parts: dict[str, Any]) -> str:
    content = [{"type": "text", "text": "what is this?"}, *parts]
    return prompt_text("chat", {"messages": [{"role": "user", "content": content}]})  # pyright: ignore


@pytest.mark.parametrize("part", MEDIA.values(), ids=MEDIA)
def test_a_part_that_is_no_text_is_one_short_word(part: dict[str, Any]):
    said = chat(part)
    assert said.startswith("user: what is this?")
    assert len(said) < 120
    assert said == chat(part)
    assert said != chat(json.loads(json.dumps(part).replace("AAEC", "AAED", 1)))
    responses = prompt_text("responses", {"input": [part]})
    message = prompt_text("responses", {"input": [{"role": "user", "content": [part]}]})
    assert len(responses) < 200
    assert len(message) < 200


def test_text_stays_text():
    long = "word " * 10_000
    assert chat({"type": "text", "text": long}).endswith(long + "\n")
    said = {"role": "user", "content": f"![]({URL})"}  # a string is what the LLM reads
    assert len(prompt_text("chat", {"messages": [said]})) > len(BYTES)  # pyright: ignore
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {"file": {"type": "string"}}},
    }
    assert '"file":{"type":"string"}' in prompt_text("chat", {"tools": [tool], "messages": []})  # pyright: ignore


async def test_a_large_image_has_few_tokens_in_record_and_replay(
    http: aiohttp.ClientSession, tmp_path: Path
):
    content = [{"type": "text", "text": "what?"}, MEDIA["image"]]
    body = {"model": "m", "messages": [{"role": "user", "content": content}]}
    async with gateway_to(says(completion(prompt_tokens=11)), tmp_path) as (engine, gateway):
        await send(http, gateway.url + CHAT, body)
    assert engine.bodies == [json.dumps(body).encode()]
    call = the_call(tmp_path)
    assert (len(call.prompt_blocks), call.prompt_tokens) == (1, 11)
    assert call.prompt_chars < 100
    (file,) = files_of(tmp_path, "calls")
    assert file.stat().st_size < 2_000
    _, sent = request_for(call, salt="s", templates=frozenset())
    assert len(sent) < 1_000


def test_a_trace_that_counted_an_image_as_text_replays_as_many_tokens_as_it_had():
    call = Call(
        call="c",
        run="r",
        workflow="w",
        llm="m",
        endpoint="chat",
        start=0.0,
        end=1.0,
        status=200,
        prompt_tokens=11,
        output_tokens=1,
        prompt_blocks=tuple(f"{number:012x}" for number in range(15_626)),
        prompt_chars=4_000_000,
    )
    _, body = request_for(call, salt="s", templates=frozenset())
    assert len(body) < 300


DIALECTS: list[tuple[str, dict[str, Any], int, str]] = [
    ("/v1/embeddings", {"input": "a", "encoding_format": "base64"}, 1, "a"),
    ("/v1/embeddings", {"input": [1, 2, 3]}, 1, "1 2 3 "),
    ("/v1/embeddings", {"input": [[1, 2], [3]]}, 2, "1 2 3 "),
    ("/v1/embeddings", {"input": [[1.0, 2], [3]]}, 2, "1.0 2 3 "),
    ("/v1/embeddings", {"input": [{"text": "a"}, {"image": URL}]}, 2, "a[image:"),
    ("/v1/embeddings", {"messages": [{"role": "user", "content": "a"}]}, 1, "user: a\n"),
    ("/v2/embed", {"texts": ["a", "b"], "input_type": "search_query"}, 2, "ab"),
    ("/v1/rerank", {"query": "q", "documents": ["a", "b"]}, 2, "qab"),
    ("/rerank", {"query": "q", "texts": ["a", "b"]}, 2, "qab"),
    ("/v2/rerank", {"query": "q", "documents": ["a", "b"], "top_n": 1}, 2, "qab"),
    (
        "/v1/rerank",
        {"query": {"text": "q"}, "documents": [{"text": "a"}, {"image": URL}]},
        2,
        "qa[",
    ),
    ("/v1/rerank", {"query": "q", "documents": [{"content": [{"text": "a"}]}]}, 1, "qa"),
    ("/v1/ranking", {"query": {"text": "q"}, "passages": [{"text": "a"}]}, 1, "qa"),
    ("/v1/score", {"text_1": "q", "text_2": ["a", "b"]}, 2, "qab"),
    ("/score", {"text_1": ["a", "b"], "text_2": ["c", "d"]}, 2, "abcd"),
    ("/v1/score", {"queries": "q", "documents": ["a"]}, 1, "qa"),
    ("/v1/score", {"data_1": "q", "data_2": ["a"]}, 1, "qa"),
    ("/v1/score", {"query": [1, 2], "items": [[3], [4]]}, 2, "1 2 3 4 "),
]


@pytest.mark.parametrize(("path", "fields", "items", "begin"), DIALECTS)
def test_each_dialect_is_read(path: str, fields: dict[str, Any], items: int, begin: str):
    endpoint: Endpoint = ENDPOINTS[path]
    request = read_request(endpoint, json.dumps({"model": "m", **fields}).encode())
    assert isinstance(request, ApiRequest)
    assert request.items == items
    text = prompt_text(endpoint, request.fields)
    assert text.startswith(begin)
    assert len(text) < 100


@pytest.mark.parametrize(
    ("path", "answer", "prompt"),
    [
        (
            "/v1/embeddings",
            {"data": [{"embedding": "AAAAAA=="}], "usage": {"prompt_tokens": 4.0}},
            4,
        ),
        ("/v2/embed", {"embeddings": {"float": [[1]]}, "meta": {"tokens": {"input_tokens": 4}}}, 4),
        ("/v2/rerank", {"results": [{"index": 0}], "meta": {"tokens": {"input_tokens": 4}}}, 4),
        ("/v1/rerank", {"results": [{"index": 0}], "usage": {"total_tokens": 4}}, 4),
        ("/rerank", [{"index": 0, "score": 0.5}], None),
        ("/v1/ranking", {"rankings": [{"index": 0, "logit": 1}], "usage": {"total_tokens": 4}}, 4),
        ("/v1/score", {"scores": [[0.1, 0.2]], "usage": None}, None),
    ],
)
async def test_each_dialects_answer_is_recorded(
    http: aiohttp.ClientSession, tmp_path: Path, path: str, answer: object, prompt: int | None
):
    body = json.dumps(answer).encode()
    async with gateway_to(says(body), tmp_path) as (engine, gateway):
        back = await send(http, gateway.url + path, {"model": "m", "query": "q"})
    assert (back.body, engine.paths) == (body, [path])
    call = the_call(tmp_path)
    assert (call.ok, call.prompt_tokens, bool(call.output_digest)) == (True, prompt, True)
