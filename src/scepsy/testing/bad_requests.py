"""Requests that vLLM refuses, to send to two engines and compare their answers."""

from __future__ import annotations

import re
from typing import Any

import aiohttp
import msgspec

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
_HELLO = [{"role": "user", "content": "a"}]
_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
_NONSENSE = {"name": "x", "schema": {"type": "nonsense"}}

_CHATS: dict[str, dict[str, object]] = {
    "no messages": {"messages": None},
    "empty messages": {"messages": []},
    "messages of the wrong type": {"messages": "hello"},
    "a message without a role": {"messages": [{"content": "a"}]},
    "content of the wrong type": {"messages": [{"role": "user", "content": 3}]},
    "content of an unknown type": {
        "messages": [{"role": "user", "content": [{"type": "smell", "text": "a"}]}]
    },
    "another LLM": {"model": "another"},
    "another LLM, streamed": {"model": "another", "stream": True},
    "a number as the LLM's name": {"model": 3},
    "max_tokens of the wrong type": {"max_tokens": "many"},
    "max_tokens 0": {"max_tokens": 0},
    "max_tokens -1": {"max_tokens": -1},
    "max_tokens 1.5": {"max_tokens": 1.5},
    "max_tokens beyond the context": {"max_tokens": 1_000_000},
    "max_completion_tokens 0": {"max_completion_tokens": 0},
    "min_tokens above max_tokens": {"min_tokens": 5},
    "temperature -1": {"temperature": -1},
    "temperature 3": {"temperature": 3},
    "temperature of the wrong type": {"temperature": "hot"},
    "top_p 0": {"top_p": 0},
    "top_p 2": {"top_p": 2},
    "top_k -5": {"top_k": -5},
    "min_p 2": {"min_p": 2},
    "n 0": {"n": 0},
    "two greedy answers": {"n": 2, "temperature": 0},
    "presence_penalty 5": {"presence_penalty": 5},
    "frequency_penalty -5": {"frequency_penalty": -5},
    "repetition_penalty 0": {"repetition_penalty": 0},
    "five stops": {"stop": list("abcde")},
    "an empty stop": {"stop": [""]},
    "stop of the wrong type": {"stop": 3},
    "stream of the wrong type": {"stream": "maybe"},
    "stream_options without stream": {"stream_options": {"include_usage": True}},
    "too many logprobs": {"logprobs": True, "top_logprobs": 100},
    "top_logprobs alone": {"top_logprobs": 2},
    "seed of the wrong type": {"seed": "x"},
    "priority of the wrong type": {"priority": "high"},
    "an impossible schema": {"response_format": {"type": "json_schema", "json_schema": _NONSENSE}},
    "an unknown format": {"response_format": {"type": "poem"}},
    "no schema": {"response_format": {"type": "json_schema"}},
    "format of the wrong type": {"response_format": "json"},
    "no choices": {"structured_outputs": {"choice": []}},
    "two constraints on the output": {"structured_outputs": {"choice": ["a"], "regex": "a"}},
    "a broken regex": {"structured_outputs": {"regex": "("}},
    "tool_choice without tools": {"tool_choice": "auto"},
    "tool_choice of no tool": {
        "tools": [_TOOL],
        "tool_choice": {"type": "function", "function": {"name": "g"}},
    },
    "a prompt beyond the context": {
        "messages": [{"role": "user", "content": "every word counts " * 1500}]
    },
}

_COMPLETIONS: dict[str, dict[str, object]] = {
    "no prompt": {"prompt": None},
    "an empty prompt": {"prompt": ""},
    "no prompts": {"prompt": []},
    "an unknown token": {"prompt": [5, 10**7]},
    "a negative token": {"prompt": [5, -1]},
    "a prompt of two types": {"prompt": ["a", 5]},
    "a prompt of the wrong type": {"prompt": 5},
    "max_tokens 0 of a completion": {"max_tokens": 0},
    "a suffix": {"suffix": "x"},
}

_RESPONSES: dict[str, dict[str, object]] = {
    "no input": {"input": None},
    "a response of another LLM": {"model": "another"},
    "max_output_tokens 0": {"max_output_tokens": 0},
    "an unknown response": {"previous_response_id": "nope"},
}


def _bodies(
    path: str, usual: dict[str, object], cases: dict[str, dict[str, object]]
) -> dict[str, tuple[str, str, bytes]]:
    """The request bodies: `usual` with the changes of each case. A field that is None is left
    out.
    """
    made: dict[str, tuple[str, str, bytes]] = {}
    for name, changes in cases.items():
        body = {key: value for key, value in (usual | changes).items() if value is not None}
        made[name] = ("POST", path, msgspec.json.encode(body))
    return made


BAD_REQUESTS: dict[str, tuple[str, str, bytes]] = {
    "not JSON": ("POST", CHAT, b'{"messages": ['),
    "a list": ("POST", CHAT, b"[]"),
    "nothing": ("POST", CHAT, b""),
    **_bodies(CHAT, {"model": "generate", "messages": _HELLO, "max_tokens": 2}, _CHATS),
    **_bodies(COMPLETIONS, {"model": "generate", "prompt": "a", "max_tokens": 2}, _COMPLETIONS),
    **_bodies(RESPONSES, {"model": "generate", "input": "a", "max_output_tokens": 8}, _RESPONSES),
    "embeddings of a generator": ("POST", "/v1/embeddings", b'{"input": "a"}'),
    "reranking by a generator": ("POST", "/v1/rerank", b'{"query": "a", "documents": ["b"]}'),
    "scores of a generator": ("POST", "/v1/score", b'{"text_1": "a", "text_2": "b"}'),
    "GET where there is POST": ("GET", CHAT, b""),
    "an unknown path": ("GET", "/v1/nothing", b""),
    "tokens of nothing": ("POST", "/tokenize", b"{}"),
    "tokens of another LLM": ("POST", "/tokenize", b'{"model": "another", "prompt": "a"}'),
}
"""Method, path and body of each request, for an LLM named "generate" that generates text."""


async def refusal(
    http: aiohttp.ClientSession, url: str, case: tuple[str, str, bytes]
) -> dict[str, Any]:
    """The part of the answer that a client can act on: the status, and the error without its
    message.

    In the path to a field, the types that a validator tried (their names begin with a capital
    letter) are left out.
    """
    method, path, body = case
    headers = {"Content-Type": "application/json"}
    async with http.request(method, f"{url}{path}", data=body, headers=headers) as response:
        answer = msgspec.json.decode(await response.read())
        status = response.status
    error = answer.get("error")
    if error is None:
        return {"status": status, "answer": answer if status >= 400 else "accepted"}
    assert error.pop("message")
    param = error["param"] and re.sub(r"\.[A-Z]\w*", "", error["param"])
    return {"status": status, **error, "param": param}
