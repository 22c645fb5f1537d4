"""The example programs, against a server whose scores and verdicts are uniform."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import fmean, pstdev
from types import ModuleType

import pytest

from openai_like import OpenAiLike, openai_like

EXAMPLES = Path(__file__).parent.parent / "examples"
RUNS = 16


@asynccontextmanager
async def program(name: str, url: str) -> AsyncIterator[ModuleType]:
    """The program as a driver imports it: pointed at `url` by its environment alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        patch.setenv("OPENAI_API_KEY", "none")
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    async with module.client:
        yield module


@pytest.fixture
def rag_index(tmp_path: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_INDEX", str(tmp_path / "index"))
        yield tmp_path / "index"


def lines(name: str) -> list[str]:
    return (EXAMPLES / "data" / name).read_text().splitlines()


async def calls_per_run(server: OpenAiLike, module: ModuleType, inputs: list[str]) -> list[int]:
    counts: list[int] = []
    for one in inputs:
        before = len(server.requests)
        assert await module.run(one)
        counts.append(len(server.requests) - before)
    return counts


@pytest.mark.slow
async def test_beam_search_makes_tens_of_calls_and_their_number_depends_on_the_scores() -> None:
    async with openai_like() as server, program("beam_search", server.url) as beam_search:
        counts = await calls_per_run(server, beam_search, lines("problems.txt")[:RUNS])
        asked = set(server.llms)
    assert asked == {"generator", "verifier"}
    assert 33 <= fmean(counts) <= 50
    assert 0.12 <= pstdev(counts) / fmean(counts) <= 0.45


async def test_beam_search_shares_prefixes() -> None:
    async with openai_like() as server, program("beam_search", server.url) as beam_search:
        await beam_search.run("How many primes are there below 50?")
        generator = [body for _, _, body in server.requests if body["model"] == "generator"]
    prompts = [body["messages"][1]["content"] for body in generator]
    last = max(prompts, key=len)
    assert sum(last.startswith(prompt) for prompt in prompts) > 3


@pytest.mark.slow
async def test_rag_searches_reranks_answers_and_may_loop(rag_index: Path) -> None:
    async with openai_like() as server, program("rag", server.url) as rag:
        await rag.index()
        counts = await calls_per_run(server, rag, lines("questions.txt")[:RUNS])
        asked = set(server.llms)
    assert asked == {"embedder", "reranker", "generator", "verifier"}
    # A round is one embedding, four rerankings, an answer, a check (none in the third); one
    # rewriting between two rounds.
    assert set(counts) == {7, 15, 22}


async def test_rag_builds_its_index_once(rag_index: Path) -> None:
    async with openai_like() as server, program("rag", server.url) as rag:
        await rag.run("What does heapq.merge return?")
        indexing = [body for path, _, body in server.requests if len(body.get("input", ())) > 1]
        before = len(server.requests)
        await rag.run("What does heapq.merge return?")
        second = [body for path, _, body in server.requests[before:] if path == "/v1/embeddings"]
        assert "/v1/rerank" in {path for path, _, _ in server.requests}
    assert sum(len(body["input"]) for body in indexing) == len(lines("corpus.jsonl"))
    assert all(len(body["input"]) == 1 for body in second)
    assert len(os.listdir(rag_index)) == 1


def test_inputs_and_corpus_are_many_and_differ() -> None:
    for name, least in (("problems.txt", 64), ("questions.txt", 64), ("corpus.jsonl", 150)):
        assert len(set(lines(name))) == len(lines(name)) >= least
    assert all(set(json.loads(line)) == {"title", "text"} for line in lines("corpus.jsonl"))
