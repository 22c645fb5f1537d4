"""The example programs, against a server whose scores and verdicts are uniform."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from statistics import fmean, pstdev
from types import ModuleType

import pytest

from openai_like import OpenAiLike, openai_like

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
RUNS = 16
INSTALLED = ROOT / "out" / "examples" / "venv" / "bin" / "python"  # by `make examples`


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


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_and_can_be_driven(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 150
    [run] = [one for one in ast.parse(text).body if getattr(one, "name", None) == "run"]
    assert isinstance(run, ast.AsyncFunctionDef)
    assert len(run.args.args) == 1


@cache
def interpreter(package: str) -> str:
    """Of an environment that has the package; skips the test where there is none."""
    if importlib.util.find_spec(package) is not None:
        return sys.executable
    asked = [str(INSTALLED), "-c", f"import {package}"]
    if not INSTALLED.exists() or subprocess.run(asked, check=False).returncode != 0:
        pytest.skip(f"{package} is not installed; `make examples` installs it")
    return str(INSTALLED)


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("name", "package", "asked", "llms", "calls"),
    [
        # One for the tables, then three attempts of four tries each, and the answer.
        ("text_to_sql", "langgraph", "Who buys tea?", {"fast", "coder", "generator"}, 14),
        # Five rounds of three debaters and the judge.
        ("debate", "autogen_agentchat", "2 + 2?", {"generator", "coder", "fast", "verifier"}, 20),
        # No plan is one subquestion, no verdict is enough.
        ("deep_research", "agents", "What is heapq?", {"generator", "coder", "verifier"}, 4),
        # 982 and 1,824 characters: two pieces, one reduction, one check.
        ("map_reduce", "langgraph", "heapq queue", {"fast", "generator", "verifier"}, 4),
    ],
)
async def test_an_example_ends_on_nonsense(
    name: str, package: str, asked: str, llms: set[str], calls: int
) -> None:
    python = interpreter(package)
    async with openai_like() as server:
        url = f"{server.url}/v1"
        environment = {**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}
        ended = await asyncio.create_subprocess_exec(
            python,
            str(EXAMPLES / f"{name}.py"),
            asked,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await ended.communicate()
    assert ended.returncode == 0, complained.decode()
    assert said.strip()
    assert set(server.llms) == llms
    assert len(server.requests) == calls
