"""The emulated engine as OpenAI's own client and vLLM's callers know it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import aiohttp
import openai
import pytest

from scepsy.core.llm import LlmKind, LlmSpec
from scepsy.engines import (
    EngineOptions,
    EngineProcess,
    EngineResources,
    engine_for,
    free_port,
    start,
    stop,
)
from scepsy.engines.emulated.api.chat import Message, chat_prompt
from scepsy.hardware.gpus import gpu_constants
from scepsy.hardware.step_time import StepTimer
from scepsy.sim.engine.batch import EngineSequence
from scepsy.sim.engine.continuous_batching import SimulatedEngine
from scepsy.testing.engine_calls import metric, post

SCALE = 20.0


def spec(kind: LlmKind) -> LlmSpec:
    return LlmSpec(
        name=kind, kind=kind, parameters=4e9, layers=36, hidden=2560, kv_heads=8, head_dim=128
    )


def running(kind: LlmKind, folder: Path) -> Generator[EngineProcess]:
    launch = engine_for("emulated").launch(
        spec(kind),
        EngineResources(tp=2, gpu_type="h200", gpu_memory=141e9),
        port=free_port(),
        options=EngineOptions(time_scale=SCALE, exit_with_parent=True),
    )
    process = asyncio.run(start(launch, log_path=folder / "log", name=kind))
    yield process
    asyncio.run(stop(process))


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator[EngineProcess]:
    yield from running("generate", tmp_path_factory.mktemp("generator"))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Generator[EngineProcess]:
    yield from running("embed", tmp_path_factory.mktemp("embedder"))


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Generator[EngineProcess]:
    yield from running("rerank", tmp_path_factory.mktemp("reranker"))


@pytest.fixture
async def http() -> AsyncGenerator[aiohttp.ClientSession, None]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def client(generator: EngineProcess) -> AsyncGenerator[openai.AsyncOpenAI, None]:
    async with openai.AsyncOpenAI(base_url=f"{generator.url}/v1", api_key="none") as client:
        yield client


async def test_several_answers_to_one_prompt(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="generate", messages=[{"role": "user", "content": "Go on."}], n=3, max_tokens=30
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 3
    single = await client.chat.completions.create(
        model="generate", messages=[{"role": "user", "content": "Go on."}], max_tokens=30
    )
    assert answer.choices[0].message.content == single.choices[0].message.content
    assert answer.usage
    assert single.usage
    assert answer.usage.prompt_tokens == single.usage.prompt_tokens


async def test_a_streamed_completion(client: openai.AsyncOpenAI) -> None:
    chunks = await client.completions.create(
        model="generate", prompt=["One", "Two"], max_tokens=40, stream=True
    )
    texts = ["", ""]
    async for chunk in chunks:
        texts[chunk.choices[0].index] += chunk.choices[0].text
    whole = await client.completions.create(model="generate", prompt=["One", "Two"], max_tokens=40)
    assert texts == [choice.text for choice in whole.choices]


async def test_streamed_responses(client: openai.AsyncOpenAI) -> None:
    events = await client.responses.create(model="generate", input="Hello", stream=True)
    text, kinds = "", list[str]()
    async for event in events:
        kinds.append(event.type)
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            assert event.response.output_text == text
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")


async def test_embeddings_as_the_client_asks_for_them(embedder: EngineProcess) -> None:
    url = f"{embedder.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        packed = await client.embeddings.create(model="embed", input="some words")
        plain = await client.embeddings.create(
            model="embed", input=["some words"], encoding_format="float"
        )
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert len(plain.data[0].embedding) == 256


async def test_rerank_keeps_the_best(reranker: EngineProcess, http: aiohttp.ClientSession) -> None:
    documents = ["a", {"text": "b c"}, "the answer is here"]
    body = {"query": "the answer", "documents": documents, "top_n": 1}
    answer = await post(http, f"{reranker.url}/rerank", body)
    [best] = answer["results"]
    assert (best["index"], best["document"]) == (2, {"text": "the answer is here"})
    body = {"text_1": ["a", "b"], "text_2": ["a", "c"]}
    scores = await post(http, f"{reranker.url}/score", body)
    assert [one["object"] for one in scores["data"]] == ["score", "score"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/v1/chat/completions", None, 405, ""),
        ("GET", "/nothing", None, 404, ""),
        ("POST", "/v1/embeddings", {"input": "a"}, 404, "Not Found"),
        ("POST", "/v1/rerank", {"query": "a", "documents": ["b"]}, 404, "Not Found"),
        ("POST", "/v1/completions", {"prompt": ""}, 400, "must be provided"),
        ("POST", "/v1/completions", {"prompt": [-1]}, 400, "no token id"),
        ("POST", "/v1/completions", {"prompt": "a", "max_tokens": 9000}, 400, "max_model_len=8192"),
        ("POST", "/v1/completions", {"prompt": "a", "logprobs": 3}, 400, "logprobs"),
        ("POST", "/v1/completions", {"prompt": "a", "model": "b"}, 404, "`b` does not exist"),
        ("POST", "/v1/completions", {"prompt": "a", "n": 0}, 400, "n must be at least 1"),
    ],
)
async def test_refusals(
    generator: EngineProcess,
    http: aiohttp.ClientSession,
    method: str,
    path: str,
    body: object,
    status: int,
    message: str,
) -> None:
    async with http.request(method, generator.url + path, json=body) as response:
        assert response.status == status
        assert message in await response.text()


async def test_the_field_at_fault_is_named(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await client.completions.create(model="generate", prompt="a", max_tokens=0)
    assert refused.value.param == "max_tokens"
    assert refused.value.type == "BadRequestError"


async def test_it_is_busy_for_as_long_as_the_closed_form_says(
    generator: EngineProcess, http: aiohttp.ClientSession
) -> None:
    name = "scepsy_emulated:busy_seconds_total"
    text = "A prompt that nobody else sends. " * 40
    prompt = chat_prompt([Message("user", text)])
    timer = StepTimer(spec("generate"), gpu_constants("h200"), tp=2)
    machine = SimulatedEngine(timer, kv_tokens=100_000, max_sequences=1)
    machine.add(EngineSequence(0, prompt.tokens, 50))
    while not machine.idle:
        machine.step()
    before = await metric(http, generator, name)
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 50, "ignore_eos": True}
    answer = await post(http, f"{generator.url}/v1/chat/completions", body)
    assert answer["usage"]["prompt_tokens"] == prompt.tokens
    busy = await metric(http, generator, name) - before
    assert busy * SCALE == pytest.approx(machine.counters.busy_seconds)


async def test_tokens_and_version(generator: EngineProcess, http: aiohttp.ClientSession) -> None:
    tokens = await post(http, f"{generator.url}/tokenize", {"prompt": "twelve chars"})
    assert (tokens["count"], len(tokens["tokens"]), tokens["max_model_len"]) == (3, 3, 8192)
    messages = [{"role": "user", "content": "hello"}]
    chat = await post(http, f"{generator.url}/tokenize", {"messages": messages})
    assert chat["count"] == chat_prompt([Message("user", "hello")]).tokens
    async with http.get(f"{generator.url}/version") as response:
        assert "emulated" in (await response.json())["version"]
