"""Answers a question about Python's standard library: search, rerank, generate, check, try again.

    python examples/rag.py "How does heapq.merge treat its inputs?"

The vectors of the corpus are computed once, by the same embedder, and kept in the folder RAG_INDEX;
`python examples/rag.py --index` does only that.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from openai import AsyncOpenAI

EMBEDDER_LLM = os.environ.get("EMBEDDER_LLM", "embedder")
RERANKER_LLM = os.environ.get("RERANKER_LLM", "reranker")
GENERATOR_LLM = os.environ.get("GENERATOR_LLM", "generator")
CHECKER_LLM = os.environ.get("CHECKER_LLM", "verifier")

CORPUS = Path(__file__).parent / "data" / "corpus.jsonl"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
INDEX = Path(os.environ.get("RAG_INDEX") or CACHE / "rag-example")

CANDIDATES, RERANK_BATCH, BEST = 24, 6, 5
MOST_ROUNDS, INDEX_BATCH = 3, 32
ANSWER_TOKENS, QUERY_TOKENS, VERDICT_TOKENS = 200, 32, 4

ANSWER_PROMPT = (
    "You answer questions about the Python standard library. Use only the passages that you are "
    "given, name the passage that each statement rests on, and say so when they do not suffice."
)
CHECK_PROMPT = (
    "You are given passages, a question and an answer. Is every statement of the answer supported "
    "by the passages, and does it answer the question? Say yes or no."
)
REWRITE_PROMPT = "Rewrite the question as a search query. Use other words than in the last query."
VERDICT_FORMAT: Any = {
    "type": "json_schema",
    "json_schema": {"name": "verdict", "schema": {"type": "string", "enum": ["yes", "no"]}},
}

client = AsyncOpenAI()
index_lock = asyncio.Lock()  # of many runs at once, one builds the index


async def run(question: str) -> str:
    """The answer to `question`, from the passages that were found."""
    vectors = await index()
    query, answer = question, ""
    for round_number in range(1, MOST_ROUNDS + 1):
        [query_vector] = await embed([query])
        nearest = np.argsort(-(vectors @ query_vector))[:CANDIDATES]
        context = await best_passages(question, [passages()[i] for i in nearest])
        answer = await chat(GENERATOR_LLM, ANSWER_PROMPT, f"{context}\n\nQuestion: {question}")
        if round_number == MOST_ROUNDS or await is_supported(context, question, answer):
            break
        asked = f"Question: {question}\nLast query: {query}"
        query = await chat(GENERATOR_LLM, REWRITE_PROMPT, asked, max_tokens=QUERY_TOKENS)
    return answer


async def best_passages(question: str, candidates: list[str]) -> str:
    """The candidates that the reranker finds most relevant, best first."""
    batches = (candidates[i : i + RERANK_BATCH] for i in range(0, len(candidates), RERANK_BATCH))
    scores = await asyncio.gather(*(rerank(question, batch) for batch in batches))
    scored = zip((score for batch in scores for score in batch), candidates, strict=True)
    ranked = sorted(scored, key=lambda pair: pair[0], reverse=True)
    return "\n\n".join(passage for _, passage in ranked[:BEST])


async def rerank(question: str, documents: list[str]) -> list[float]:
    """The relevance of each document. The API has no such call; vLLM and others have."""
    body = {"model": RERANKER_LLM, "query": question, "documents": documents}
    answer: Any = await client.post("/rerank", cast_to=object, body=body)
    scores = {result["index"]: result["relevance_score"] for result in answer["results"]}
    return [scores[position] for position in range(len(documents))]


async def is_supported(context: str, question: str, answer: str) -> bool:
    asked = f"{context}\n\nQuestion: {question}\nAnswer: {answer}"
    verdict = await chat(
        CHECKER_LLM,
        CHECK_PROMPT,
        asked,
        max_tokens=VERDICT_TOKENS,
        temperature=0,
        response_format=VERDICT_FORMAT,
    )
    return verdict.strip('" ') == "yes"


async def chat(
    llm: str, instructions: str, text: str, max_tokens: int = ANSWER_TOKENS, **options: Any
) -> str:
    answer = await client.chat.completions.create(
        model=llm,
        messages=[{"role": "system", "content": instructions}, {"role": "user", "content": text}],
        max_tokens=max_tokens,
        **options,
    )
    return (answer.choices[0].message.content or "").strip()


async def embed(texts: list[str]) -> np.ndarray:
    """A row for each text, of length one."""
    answer = await client.embeddings.create(model=EMBEDDER_LLM, input=texts)
    vectors = np.array([one.embedding for one in answer.data], dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@cache
def passages() -> list[str]:
    found = map(json.loads, CORPUS.read_text(encoding="utf-8").splitlines())
    return [f"[{one['title']}]\n{one['text']}" for one in found]


async def index() -> np.ndarray:
    """A row for each passage."""
    path = index_file()
    async with index_lock:
        if not path.exists():
            starts = range(0, len(passages()), INDEX_BATCH)
            parts = [await embed(passages()[start : start + INDEX_BATCH]) for start in starts]
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}.npy")
            np.save(unfinished, np.concatenate(parts))
            unfinished.replace(path)
    return np.load(path)


@cache
def index_file() -> Path:
    """Named after corpus and embedder, so that another of either gets an index of its own."""
    digest = hashlib.sha256(EMBEDDER_LLM.encode() + CORPUS.read_bytes()).hexdigest()
    return INDEX / f"{digest[:16]}.npy"


if __name__ == "__main__":
    if sys.argv[1:] == ["--index"]:
        asyncio.run(index())
    else:
        print(asyncio.run(run(" ".join(sys.argv[1:]))))
