"""The API that every engine must offer: tests that each adapter's test class inherits.

A test of a capability that the engine does not claim is skipped, with the reason.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import msgspec
import pytest

from scepsy.engines import EngineProcess
from scepsy.testing.engine_calls import (
    chat,
    chat_body,
    check_usage,
    events,
    first_byte,
    metric,
    post,
    refused,
    until_running,
)
from scepsy.testing.served import ServedEngine

_HELLO = b'"messages": [{"role": "user", "content": "a"}]'

BAD_CHATS = {
    "not JSON": b'{"messages": [',
    "no messages": b"{}",
    "messages of the wrong type": b'{"messages": "hello"}',
    "max_tokens of the wrong type": b"{" + _HELLO + b', "max_tokens": "many"}',
    "impossible schema": b"{" + _HELLO + b', "response_format": {"type": "json_schema", '
    b'"json_schema": {"name": "x", "schema": {"type": "nonsense"}}}}',
}
"""Bodies that every engine refuses with a 4xx."""

STRICTLY_BAD_CHATS = {
    "empty messages": b'{"messages": []}',
    "max_tokens 0": b"{" + _HELLO + b', "max_tokens": 0}',
    "max_tokens -1": b"{" + _HELLO + b', "max_tokens": -1}',
    "negative temperature": b"{" + _HELLO + b', "temperature": -1}',
}
"""Bodies that vLLM refuses and some engines accept."""


class ApiContract(ServedEngine):
    """The OpenAI API in vLLM's dialect."""

    async def test_it_is_alive_and_lists_its_llm(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        assert generator.alive
        async with http.get(f"{generator.url}/v1/models") as response:
            models = await response.json()
        assert [model["id"] for model in models["data"]] == ["generate"]

    async def test_chat(self, generator: EngineProcess, http: aiohttp.ClientSession) -> None:
        answer = await chat(http, generator, max_tokens=20)
        [choice] = answer["choices"]
        assert choice["message"]["role"] == "assistant"
        assert isinstance(choice["message"]["content"], str)
        assert choice["finish_reason"] in ("stop", "length")
        check_usage(answer["usage"])

    async def test_greedy_answers_repeat(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        answers = [await chat(http, generator, max_tokens=20, temperature=0) for _ in range(2)]
        texts = [answer["choices"][0]["message"]["content"] for answer in answers]
        assert texts[0] == texts[1]

    async def test_unknown_fields_are_accepted(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        assert await chat(http, generator, max_tokens=2, frobnicate={"deep": [1]})

    async def test_exact_length(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        self.needs("ignore_eos")
        for tokens in (1, 17, 64):
            answer = await chat(http, generator, max_tokens=tokens, ignore_eos=True)
            assert answer["usage"]["completion_tokens"] == tokens
            assert answer["choices"][0]["finish_reason"] == "length"

    async def test_both_names_of_the_limit_on_tokens(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        answer = await chat(http, generator, max_completion_tokens=3, ignore_eos=True)
        assert answer["usage"]["completion_tokens"] <= 3

    async def test_a_stream_arrives_in_pieces_and_ends_with_its_usage(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        body = chat_body(max_tokens=512, ignore_eos=True, temperature=0, stream=True)
        body["stream_options"] = {"include_usage": True}
        url = f"{generator.url}/v1/chat/completions"
        async with http.post(url, json=body) as response:
            assert response.content_type == "text/event-stream"
            reads = [data async for data in response.content.iter_any()]
        *chunks, last, done = events(b"".join(reads))
        assert len(reads) > 3
        assert done == b"[DONE]"
        usage = msgspec.json.decode(last)["usage"]
        check_usage(usage)
        assert usage["completion_tokens"] == 512
        deltas = [choice for one in chunks for choice in msgspec.json.decode(one)["choices"]]
        text = "".join(delta["delta"].get("content") or "" for delta in deltas)
        assert deltas[-1]["finish_reason"] == "length"
        whole = await chat(http, generator, max_tokens=512, ignore_eos=True, temperature=0)
        assert text == whole["choices"][0]["message"]["content"]
        assert whole["usage"]["prompt_tokens"] == usage["prompt_tokens"]

    async def test_completions(self, generator: EngineProcess, http: aiohttp.ClientSession) -> None:
        url = f"{generator.url}/v1/completions"
        body = {"model": "generate", "prompt": "Once upon a time", "max_tokens": 5}
        answer = await post(http, url, body)
        check_usage(answer["usage"])
        assert isinstance(answer["choices"][0]["text"], str)
        self.needs("token_prompts")
        answer = await post(http, url, {**body, "prompt": [5, 6, 7, 8]})
        assert answer["usage"]["prompt_tokens"] == 4

    async def test_a_repeated_prefix_is_cached(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        self.needs("cached_tokens")
        text = "A long common beginning, sent twice. " * 8
        await chat(http, generator, content=text, max_tokens=1)
        answer = await chat(http, generator, content=text, max_tokens=1)
        usage = answer["usage"]
        cached = usage["prompt_tokens_details"]["cached_tokens"]
        assert usage["prompt_tokens"] - 32 <= cached < usage["prompt_tokens"]

    async def test_an_answer_follows_its_json_schema(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        self.needs("json_schema")
        schema = {
            "type": "object",
            "properties": {"verdict": {"enum": ["yes", "no"]}, "sure": {"type": "boolean"}},
            "required": ["verdict", "sure"],
            "additionalProperties": False,
        }
        shape = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}}
        answer = await chat(http, generator, max_tokens=200, response_format=shape)
        found = msgspec.json.decode(answer["choices"][0]["message"]["content"])
        assert found["verdict"] in ("yes", "no")
        assert isinstance(found["sure"], bool)

    async def test_the_lower_priority_goes_first(
        self, generator: EngineProcess, http: aiohttp.ClientSession, tmp_path: Path
    ) -> None:
        """All seats are taken by long calls; one is freed, and waiting calls enter in order of
        priority.
        """
        self.needs("priority")
        spec, url = self.llm("generate", tmp_path), f"{generator.url}/v1/chat/completions"
        long = chat_body(
            max_tokens=spec.max_context - 100, ignore_eos=True, stream=True, priority=0
        )
        order: list[int] = []

        async def ask(priority: int) -> None:
            await chat(http, generator, max_tokens=4, ignore_eos=True, priority=priority)
            order.append(priority)

        async with AsyncExitStack() as seats:
            held: list[aiohttp.ClientResponse] = []
            for _ in range(spec.max_sequences):
                held.append(await seats.enter_async_context(http.post(url, json=long)))
                await held[-1].content.readany()
            async with asyncio.TaskGroup() as tasks:
                for priority in (9, 9, 9, 1, 1, 1):
                    tasks.create_task(ask(priority))
                await asyncio.sleep(0.5)
                held[0].close()
        assert order == [1, 1, 1, 9, 9, 9]

    async def test_responses(self, generator: EngineProcess, http: aiohttp.ClientSession) -> None:
        self.needs("responses")
        body = {"model": "generate", "input": "Hello", "max_output_tokens": 16}
        answer = await post(http, f"{generator.url}/v1/responses", body)
        assert answer["output"][0]["content"][0]["type"] == "output_text"
        assert answer["usage"]["output_tokens"] > 0

    async def test_embeddings(self, embedder: EngineProcess, http: aiohttp.ClientSession) -> None:
        texts = ["the cat sat on the mat", "the cat sat on a mat", "stock prices fell sharply"]
        body = {"model": "embed", "input": texts}
        answer = await post(http, f"{embedder.url}/v1/embeddings", body)
        vectors = [item["embedding"] for item in answer["data"]]
        assert [item["index"] for item in answer["data"]] == [0, 1, 2]
        assert all(sum(x * x for x in vector) == pytest.approx(1, abs=1e-3) for vector in vectors)
        assert answer["usage"]["prompt_tokens"] > 3
        near, far = (sum(a * b for a, b in zip(vectors[0], v, strict=True)) for v in vectors[1:])
        assert near > far

    async def test_rerank_and_score(
        self, reranker: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        documents = ["the sky is blue", "grass is green", "blue whales sing"]
        body = {"model": "rerank", "query": "why is the sky blue", "documents": documents}
        answer = await post(http, f"{reranker.url}/v1/rerank", body)
        results = answer["results"]
        assert sorted(result["index"] for result in results) == [0, 1, 2]
        relevances = [result["relevance_score"] for result in results]
        assert relevances == sorted(relevances, reverse=True)
        self.needs("score")
        pair = {"model": "rerank", "text_1": body["query"], "text_2": documents}
        scores = (await post(http, f"{reranker.url}/v1/score", pair))["data"]
        assert {one["index"]: one["score"] for one in scores} == {
            result["index"]: result["relevance_score"] for result in results
        }

    @pytest.mark.parametrize("case", BAD_CHATS)
    async def test_bad_requests_are_refused(
        self, case: str, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        await refused(http, generator, BAD_CHATS[case])

    @pytest.mark.parametrize("case", STRICTLY_BAD_CHATS)
    async def test_what_vllm_refuses_is_refused(
        self, case: str, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        self.needs("strict")
        await refused(http, generator, STRICTLY_BAD_CHATS[case])

    async def test_a_prompt_beyond_the_context_is_refused(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        long = msgspec.json.encode(chat_body(content="every word counts " * 8000))
        await refused(http, generator, long)

    async def test_more_tokens_than_the_context_has_are_refused(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        self.needs("context_check")
        await refused(http, generator, msgspec.json.encode(chat_body(max_tokens=1_000_000)))

    async def test_another_llm_is_not_found(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        self.needs("model_check")
        body = msgspec.json.encode({**chat_body(), "model": "another"})
        await refused(http, generator, body, statuses=(404,))

    async def test_many_calls_at_once_are_all_answered(
        self, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        calls = [
            chat(http, generator, content=f"Call {i}", max_tokens=8, ignore_eos=True)
            for i in range(48)
        ]
        answers = await asyncio.gather(*calls)
        assert {answer["usage"]["completion_tokens"] for answer in answers} == {8}

    @pytest.mark.parametrize("stream", [True, False])
    async def test_a_caller_that_leaves_frees_the_engine(
        self, stream: bool, generator: EngineProcess, http: aiohttp.ClientSession
    ) -> None:
        self.needs("metrics")
        before = await metric(http, generator, "vllm:generation_tokens_total")
        body = chat_body(max_tokens=4000, ignore_eos=True, stream=stream)
        url = f"{generator.url}/v1/chat/completions"
        if stream:
            assert await first_byte(http, url, body)
        else:
            call = asyncio.create_task(first_byte(http, url, body))
            await until_running(http, generator, wanted=True)
            call.cancel()
        await until_running(http, generator, wanted=False)
        after = await metric(http, generator, "vllm:generation_tokens_total")
        assert after - before < 4000
        assert await metric(http, generator, "vllm:kv_cache_usage_perc") == 0
