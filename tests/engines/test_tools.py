"""Tool calls of an emulated LLM: legal, the same every time, and rarer the more there were."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, Generator
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_emulated_dialect import running

from scepsy.engines import EngineProcess
from scepsy.engines.emulated.generation.tools import ToolBody, Tools, draw_calls, tools_of
from scepsy.engines.emulated.wire.errors import RequestRefused

SEARCH = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "minLength": 3},
        "depth": {"type": "integer", "minimum": 1, "maximum": 4},
        "where": {"$ref": "#/$defs/where"},
    },
    "required": ["query"],
    "$defs": {"where": {"enum": ["web", "books"]}},
}
CHAT_TOOLS: Any = [
    {"type": "function", "function": {"name": "search", "parameters": SEARCH}},
    {"type": "function", "function": {"name": "clock"}},
]
TOOLS: Any = [
    {"type": "function", "name": "search", "parameters": SEARCH, "strict": False},
    {"type": "function", "name": "clock", "parameters": None, "strict": False},
]
QUESTIONS = [f"Question number {i}: which is it?" for i in range(8)]


def check(name: str, arguments: str) -> None:
    """Legal under the schema that was given."""
    value = json.loads(arguments)
    if name == "clock":
        assert value == {}
        return
    assert name == "search"
    assert len(value["query"]) >= 3
    assert value["depth"] in range(1, 5)
    assert value["where"] in ("web", "books")


@given(seed=st.integers(), rounds=st.integers(0, 20), forced=st.booleans(), parallel=st.booleans())
def test_calls_are_legal(seed: int, rounds: int, forced: bool, parallel: bool) -> None:
    tools = Tools({"search": SEARCH, "clock": {"type": "object"}}, forced, parallel, rounds)
    calls = draw_calls(tools, random.Random(seed))
    assert calls == draw_calls(tools, random.Random(seed))
    for call in calls:
        check(call.name, call.arguments)
    if forced:
        assert len(calls) == 1
    elif rounds >= 8:
        assert not calls
    assert len(calls) <= 1 + parallel


def test_what_tool_choice_says() -> None:
    bodies = [ToolBody(name="search", parameters=SEARCH), ToolBody(name="clock")]
    rest: Any = {"parallel": None, "rounds": 0}
    assert tools_of(bodies, "none", **rest) is tools_of(None, "none", **rest) is None
    named = tools_of(bodies, {"type": "function", "function": {"name": "clock"}}, **rest)
    assert named is not None
    assert list(named.functions) == ["clock"]
    assert named.forced
    for choice in ({"type": "function", "name": "gone"}, "sometimes", {"type": "custom"}):
        with pytest.raises(RequestRefused):
            tools_of(bodies, choice, **rest)
    with pytest.raises(RequestRefused, match="nonsense"):
        tools_of([ToolBody(name="a", parameters={"type": "nonsense"})], None, **rest)
    with pytest.raises(RequestRefused, match="web_search"):
        tools_of([ToolBody(type="web_search")], None, **rest)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Generator[EngineProcess]:
    yield from running("generate", tmp_path_factory.mktemp("tools"))


@pytest.fixture
async def client(engine: EngineProcess) -> AsyncGenerator[openai.AsyncOpenAI, None]:
    async with openai.AsyncOpenAI(base_url=f"{engine.url}/v1", api_key="none") as client:
        yield client


async def test_chat_streamed_and_whole_say_the_same(client: openai.AsyncOpenAI) -> None:
    called = 0
    for question in QUESTIONS:
        asked: Any = {
            "model": "generate",
            "messages": [{"role": "user", "content": question}],
            "tools": CHAT_TOOLS,
        }
        whole = (await client.chat.completions.create(**asked)).choices[0]
        async with client.chat.completions.stream(**asked) as stream:
            streamed = (await stream.get_final_completion()).choices[0]
        assert whole.finish_reason == streamed.finish_reason
        calls: Any = [whole.message.tool_calls or [], streamed.message.tool_calls or []]
        names = [[(c.function.name, c.function.arguments) for c in side] for side in calls]
        assert names[0] == names[1]
        if names[0]:
            called += 1
            assert whole.finish_reason == "tool_calls"
            assert whole.message.content is None
            assert len({c.id for side in calls for c in side}) == 2 * len(names[0])
        else:
            assert whole.message.content == streamed.message.content != ""
        for name, arguments in names[0]:
            check(name, arguments)
    assert 0 < called < len(QUESTIONS)


async def test_agents_loops_over_responses_end(client: openai.AsyncOpenAI) -> None:
    rounds = [await agent(client, question) for question in QUESTIONS[:4]]
    assert 0 < max(rounds) <= 8


async def agent(client: openai.AsyncOpenAI, question: str) -> int:
    """How often it called tools."""
    asked: list[Any] = [{"role": "user", "content": question}]
    rounds = 0
    while True:
        options: Any = {"model": "generate", "input": asked, "tools": TOOLS}
        async with client.responses.stream(**options) as stream:
            answer = await stream.get_final_response()
        whole = await client.responses.create(**options)
        calls = [item for item in answer.output if item.type == "function_call"]
        again = [item for item in whole.output if item.type == "function_call"]
        said = [(c.name, c.arguments) for c in calls]
        assert said == [(c.name, c.arguments) for c in again]
        if not calls:
            assert answer.output_text
            return rounds
        rounds += 1
        for call in calls:
            check(call.name, call.arguments)
            asked += [
                call.model_dump(exclude_none=True),
                {"type": "function_call_output", "call_id": call.call_id, "output": "42"},
            ]


async def test_a_call_that_does_not_fit_is_words(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="generate", messages=[{"role": "user", "content": "Go"}], max_tokens=5,
        tools=CHAT_TOOLS, tool_choice="required",
    )  # fmt: skip
    [choice] = answer.choices
    assert (choice.finish_reason, choice.message.tool_calls) == ("length", None)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
