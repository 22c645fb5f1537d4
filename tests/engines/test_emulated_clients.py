"""OpenAI's and Anthropic's own clients, unchanged, through the gateway on emulated engines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import anthropic
import openai
import pytest

from scepsy.core.llm import LlmKind, LlmSpec
from scepsy.core.trace import Call
from scepsy.engines import (
    EngineOptions,
    EngineProcess,
    EngineResources,
    engine_for,
    free_port,
    start,
    stop,
)
from scepsy.gateway.config import GatewayConfig, Route
from scepsy.gateway.server import Gateway, running
from scepsy.store import read_traces

TOOL = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
    "required": ["city"],
}
KINDS: tuple[LlmKind, ...] = ("generate", "generate", "embed", "rerank")


def spec(kind: LlmKind) -> LlmSpec:
    return LlmSpec(
        name=kind, kind=kind, parameters=1e9, layers=16, hidden=2048, kv_heads=8, head_dim=128
    )


async def started(kind: LlmKind, folder: Path) -> EngineProcess:
    launch = engine_for("emulated").launch(
        spec(kind),
        EngineResources(gpu_type="h100", gpu_memory=80e9),
        port=free_port(),
        options=EngineOptions(time_scale=20.0, exit_with_parent=True),
    )
    return await start(launch, log_path=folder / "log", name=kind)


@pytest.fixture(scope="module", autouse=True)
def stored() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("VLLM_ENABLE_RESPONSES_API_STORE", "1")
        yield


@pytest.fixture
async def http() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(scope="module")
def engines(stored: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Route, ...]]:
    with ExitStack() as stack:
        routes: list[Route] = []
        for number, kind in enumerate(KINDS):
            process = asyncio.run(started(kind, tmp_path_factory.mktemp("engine")))
            stack.callback(lambda one: asyncio.run(stop(one)), process)
            name = f"{kind}-{number}"
            routes.append(Route(llm=kind, replica=name, url=process.url, engine="emulated"))
        yield tuple(routes)


@pytest.fixture
async def gateway(engines: tuple[Route, ...], tmp_path: Path) -> AsyncGenerator[Gateway]:
    async with running(GatewayConfig(routes=engines, traces=str(tmp_path / "t"))) as one:
        yield one


async def calls(tmp_path: Path, count: int) -> list[Call]:
    """Waits until `count` calls are recorded, which happens after their answers."""
    async with asyncio.timeout(20):
        while True:
            found = read_traces(tmp_path / "t")
            every = [*found.unassigned, *(call for trace in found.traces for call in trace.calls)]
            if len(every) >= count:
                return sorted(every, key=lambda call: call.start)
            await asyncio.sleep(0.05)


async def test_messages_by_anthropics_client(gateway: Gateway, tmp_path: Path):
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="k", max_retries=0) as client:
        asked = {"model": "generate", "messages": [{"role": "user", "content": "Why is it blue?"}]}
        whole = await client.messages.create(**asked, max_tokens=24, system="Be brief.")
        async with client.messages.stream(**asked, max_tokens=24, system="Be brief.") as stream:
            text = "".join([part async for part in stream.text_stream])
            streamed = await stream.get_final_message()
        counted = await client.messages.count_tokens(**asked, system="Be brief.")
        with pytest.raises(anthropic.NotFoundError, match="does not exist"):
            await client.messages.create(**{**asked, "model": "x"}, max_tokens=4)
        with pytest.raises(anthropic.BadRequestError):
            await client.messages.create(**asked, max_tokens=0)
    assert whole.content[0].type == "text"
    assert whole.content[0].text == text == streamed.content[0].text  # pyright: ignore
    assert whole.stop_reason in ("end_turn", "max_tokens")
    prompt = whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0)
    assert prompt == counted.input_tokens
    first, second, unknown, bad = await calls(tmp_path, 4)
    assert {call.endpoint for call in (first, second, unknown, bad)} == {"messages"}
    assert (first.ok, second.ok, unknown.status, bad.status) == (True, True, 404, 400)
    assert first.prompt_tokens == second.prompt_tokens == prompt
    assert first.output_tokens == second.output_tokens == whole.usage.output_tokens
    assert first.output_digest == second.output_digest


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_by_anthropics_client(gateway: Gateway, tmp_path: Path, stream: bool):
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="k") as client:
        asked = {
            "model": "generate",
            "max_tokens": 128,
            "tools": [{"name": "weather", "description": "of a city", "input_schema": TOOL}],
        }
        messages = [{"role": "user", "content": "The weather?"}]
        forced = {**asked, "tool_choice": {"type": "tool", "name": "weather"}}
        if stream:
            async with client.messages.stream(**forced, messages=messages) as opened:
                answer = await opened.get_final_message()
        else:
            answer = await client.messages.create(**forced, messages=messages)
        [block] = answer.content
        assert block.type == "tool_use"
        assert answer.stop_reason == "tool_use"
        assert block.name == "weather"
        assert block.input["city"] in ("Oslo", "Rome")
        result = {"type": "tool_result", "tool_use_id": block.id, "content": "rain"}
        more = [
            *messages,
            {"role": "assistant", "content": [block.model_dump(exclude_none=True)]},
            {"role": "user", "content": [result]},
        ]
        none = {**asked, "tool_choice": {"type": "none"}}
        last = await client.messages.create(**none, messages=more)
    assert last.content[0].type == "text"
    first, second = await calls(tmp_path, 2)
    assert (second.run, second.layer) == (first.run, "echo")


async def test_stored_responses_by_openais_client(gateway: Gateway, tmp_path: Path):
    async with openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key="k") as client:
        last = await client.responses.create(model="generate", input="Hello", max_output_tokens=16)
        size = 0
        for turn in range(4):
            run = {"x-scepsy-run": f"r{turn}"}  # another run, which may prefer another replica
            asked = {"previous_response_id": last.id, "input": "Go on", "extra_headers": run}
            if turn % 2:
                async with client.responses.stream(model="generate", **asked) as stream:
                    last = await stream.get_final_response()
            else:
                last = await client.responses.create(model="generate", **asked)
            assert last.usage is not None
            assert last.usage.input_tokens > size  # the whole conversation so far
            size = last.usage.input_tokens
        assert (await client.responses.retrieve(last.id)).output_text == last.output_text
        with pytest.raises(openai.BadRequestError, match="synchronous"):
            await client.responses.cancel(last.id)
        behind = await client.responses.create(
            model="generate",
            input="Tell me all",
            background=True,
            max_output_tokens=4_000,
            extra_body={"ignore_eos": True},
        )
        assert behind.status == "queued"
        assert (await client.responses.cancel(behind.id)).status == "cancelled"
        assert (await client.responses.retrieve(behind.id)).status == "cancelled"
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve("resp_none")
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(
                model="generate", input="a", previous_response_id="resp_none"
            )
    assert len({call.replica for call in (await calls(tmp_path, 7))[:5]}) == 1


async def test_pooling_classification_and_tokens(
    gateway: Gateway, http: aiohttp.ClientSession, tmp_path: Path
):
    async def post(path: str, **body: object) -> dict[str, object]:
        async with http.post(gateway.url + path, json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    pooled = await post("/pooling", model="embed", input=["a cat", "a dog"])
    async with openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key="k") as client:
        embedded = await client.embeddings.create(model="embed", input=["a cat", "a dog"])
    vectors = [one["data"] for one in pooled["data"]]  # pyright: ignore
    assert vectors == [pytest.approx(one.embedding) for one in embedded.data]
    classes = await post("/classify", model="rerank", input="a cat")
    [only] = classes["data"]  # pyright: ignore
    assert sum(only["probs"]) == pytest.approx(1.0)
    assert only["num_classes"] == 2
    for path in ("/rerank", "/v1/rerank", "/v2/rerank"):
        ranked = await post(path, model="rerank", query="cat", documents=["a dog", "a cat"])
        assert ranked["results"][0]["index"] == 1  # pyright: ignore
    scored = await post("/v1/score", model="rerank", text_1="cat", text_2=["a dog", "a cat"])
    assert len(scored["data"]) == 2  # pyright: ignore
    tokens = await post("/tokenize", model="generate", prompt="seven words of text are in here")
    text = await post("/detokenize", model="generate", tokens=tokens["tokens"])
    assert len(text["prompt"]) == 4 * tokens["count"]  # pyright: ignore
    assert [call.endpoint for call in await calls(tmp_path, 7)] == [
        *("pooling", "embeddings", "classify", "rerank", "rerank", "rerank", "score")
    ]


async def test_models_have_their_context(gateway: Gateway, http: aiohttp.ClientSession):
    async with openai.AsyncOpenAI(base_url=gateway.url + "/v1", api_key="k") as client:
        models = {one.id: json.loads(one.to_json()) async for one in client.models.list()}
    assert set(models) == set(KINDS)
    assert models["generate"]["max_model_len"] == spec("generate").max_context
