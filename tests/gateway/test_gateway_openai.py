"""The `openai` client through the gateway, as programs use it."""

from __future__ import annotations

import json
from pathlib import Path

import openai
import pytest
from gateway_peers import (
    DONE,
    all_calls,
    chunk,
    completion,
    cut,
    gateway_to,
    says,
    streams,
    usage_chunk,
)
from openai import AsyncOpenAI

HI = [{"role": "user", "content": "hi"}]


def client(url: str, **fields: object) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=url, api_key="sk-test", max_retries=0, **fields)  # pyright: ignore


async def test_a_completion(tmp_path: Path):
    async with (
        gateway_to(says(completion("hello")), tmp_path) as (engine, gateway),
        client(f"{gateway.url}/w/rag/r7/v1") as llm,
    ):
        answer = await llm.chat.completions.create(model="m", messages=HI)  # pyright: ignore
        assert answer.choices[0].message.content == "hello"
        assert [model.id async for model in llm.models.list()] == ["m"]
    assert ("Authorization", "Bearer sk-test") in engine.headers[0]
    (call,) = all_calls(tmp_path)
    assert (call.workflow, call.run, call.layer) == ("rag", "r7", "url")


async def test_a_stream(tmp_path: Path):
    script = streams(chunk("he"), chunk("llo"), usage_chunk(), DONE)
    async with gateway_to(script, tmp_path) as (_, gateway):
        headers = {"x-scepsy-run": "r1", "x-scepsy-workflow": "beam"}
        async with client(gateway.url + "/v1", default_headers=headers) as llm:
            stream = await llm.chat.completions.create(model="m", messages=HI, stream=True)  # pyright: ignore
            events = [event async for event in stream]
    assert [event.choices[0].delta.content for event in events] == ["he", "llo"]
    (call,) = all_calls(tmp_path)
    assert (call.workflow, call.run, call.output_tokens) == ("beam", "r1", 2)


async def test_scepsy_metadata_is_not_forwarded(tmp_path: Path):
    async with (
        gateway_to(says(completion()), tmp_path) as (engine, gateway),
        client(gateway.url + "/v1") as llm,
    ):
        for metadata in ({"scepsy_run": "r2", "team": "a"}, {"scepsy_run": "r2"}):
            await llm.chat.completions.create(model="m", messages=HI, metadata=metadata)  # pyright: ignore
    first, second = (json.loads(body) for body in engine.bodies)
    assert first["metadata"] == {"team": "a"}
    assert "metadata" not in second
    assert {(call.run, call.layer) for call in all_calls(tmp_path)} == {("r2", "metadata")}


async def test_errors_have_the_types_of_the_openai_client():
    async with gateway_to(says(b"")) as (_, gateway), client(gateway.url + "/v1") as llm:
        with pytest.raises(openai.NotFoundError, match="'x' does not exist"):
            await llm.chat.completions.create(model="x", messages=HI)  # pyright: ignore
        with pytest.raises(openai.BadRequestError):
            await llm.chat.completions.create(model="", messages=HI)  # pyright: ignore


async def test_a_stream_that_breaks_off_is_an_error():
    async with (
        gateway_to(streams(chunk("he"), then=cut)) as (_, gateway),
        client(gateway.url + "/v1") as llm,
    ):
        stream = await llm.chat.completions.create(model="m", messages=HI, stream=True)  # pyright: ignore
        first = await anext(stream)
        with pytest.raises(openai.APIError, match="m-0 broke off"):
            await anext(stream)
    assert first.choices[0].delta.content == "he"


async def test_tool_calls_tie_later_calls_to_their_run(tmp_path: Path):
    """The first call names its run; the second only echoes the id that the server issued."""
    answer = json.loads(completion())
    answer["choices"][0]["message"] = {
        "role": "assistant",
        "tool_calls": [
            {"id": "call_9", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        ],
    }
    async with gateway_to(says(json.dumps(answer).encode()), tmp_path) as (_, gateway):
        async with client(f"{gateway.url}/w/agent/r1/v1") as llm:
            first = await llm.chat.completions.create(model="m", messages=HI)  # pyright: ignore
        result = {"role": "tool", "tool_call_id": "call_9", "content": "42"}
        messages = [*HI, first.choices[0].message.model_dump(exclude_none=True), result]
        async with client(gateway.url + "/v1") as llm:
            await llm.chat.completions.create(model="m", messages=messages)  # pyright: ignore
    echo = next(call for call in all_calls(tmp_path) if call.layer == "echo")
    assert (echo.workflow, echo.run, echo.confidence) == ("agent", "r1", 0.9)
