"""POST /v1/embeddings, /pooling, /classify, /v1/rerank and /v1/score: prompts without an answer."""

from __future__ import annotations

import base64
import struct
import time

import msgspec
from aiohttp import web

from scepsy.engines.emulated.api.completions import prompts_of
from scepsy.engines.emulated.generation.relevance import embed, relevance
from scepsy.engines.emulated.generation.text import text_prompt, words
from scepsy.engines.emulated.served import ServedLlm
from scepsy.engines.emulated.wire.bodies import new_id, read_json, reply
from scepsy.engines.emulated.wire.errors import RequestRefused


class EmbeddingBody(msgspec.Struct, kw_only=True):
    input: str | list[object]
    model: str | None = None
    encoding_format: str = "float"
    priority: int = 0


class Document(msgspec.Struct):
    text: str


class RerankBody(msgspec.Struct, kw_only=True):
    query: str
    documents: list[str | Document]
    model: str | None = None
    top_n: int = 0
    priority: int = 0


class ScoreBody(msgspec.Struct, kw_only=True):
    text_1: str | list[str]
    text_2: str | list[str]
    model: str | None = None
    priority: int = 0


_embedding_decoder = msgspec.json.Decoder(EmbeddingBody)
_rerank_decoder = msgspec.json.Decoder(RerankBody)
_score_decoder = msgspec.json.Decoder(ScoreBody)


async def embeddings(request: web.Request, llm: ServedLlm) -> web.Response:
    body = read_json(await request.read(), _embedding_decoder)
    llm.check_name(body.model)
    if body.encoding_format not in ("float", "base64"):
        raise RequestRefused(
            f"unknown encoding_format {body.encoding_format!r}", param="encoding_format"
        )
    prompts = prompts_of(body.input, "input")
    usage = await llm.prefill(prompts, body.priority)
    vectors = [embed(tokens) for tokens in _tokens(body.input, len(prompts))]
    data = [
        {"object": "embedding", "index": index, "embedding": _encode(vector, body.encoding_format)}
        for index, vector in enumerate(vectors)
    ]
    head = {"id": new_id("embd", request), "object": "list", "created": int(time.time())}
    return reply({**head, "model": llm.spec.name, "data": data, "usage": usage.wire()})


async def pool(request: web.Request, llm: ServedLlm) -> web.Response:
    """The same vectors as embeddings, in vLLM's own form."""
    body = read_json(await request.read(), _embedding_decoder)
    llm.check_name(body.model)
    prompts = prompts_of(body.input, "input")
    usage = await llm.prefill(prompts, body.priority)
    data = [
        {"index": index, "object": "pooling", "data": embed(tokens)}
        for index, tokens in enumerate(_tokens(body.input, len(prompts)))
    ]
    head = {"id": new_id("pool", request), "object": "list", "created": int(time.time())}
    return reply({**head, "model": llm.spec.name, "data": data, "usage": usage.wire()})


async def classify(request: web.Request, llm: ServedLlm) -> web.Response:
    """Two classes, as of a cross-encoder: their probabilities are drawn for each input."""
    body = read_json(await request.read(), _embedding_decoder)
    llm.check_name(body.model)
    prompts = prompts_of(body.input, "input")
    usage = await llm.prefill(prompts, body.priority)
    data: list[dict[str, object]] = []
    for index, prompt in enumerate(prompts):
        first = llm.author.rng(prompt.digest).random()
        probs = [first, 1.0 - first]
        label = f"LABEL_{probs.index(max(probs))}"
        data.append({"index": index, "label": label, "probs": probs, "num_classes": 2})
    head = {"id": new_id("classify", request), "object": "list", "created": int(time.time())}
    return reply({**head, "model": llm.spec.name, "data": data, "usage": usage.wire()})


async def rerank(request: web.Request, llm: ServedLlm) -> web.Response:
    body = read_json(await request.read(), _rerank_decoder)
    llm.check_name(body.model)
    texts = [one if isinstance(one, str) else one.text for one in body.documents]
    scores, usage = await _scores(llm, [(body.query, text) for text in texts], body.priority)
    ranked = sorted(range(len(texts)), key=lambda i: (-scores[i], i))
    results = [
        {"index": i, "document": {"text": texts[i]}, "relevance_score": scores[i]}
        for i in ranked[: body.top_n if body.top_n > 0 else None]
    ]
    head = {"id": new_id("rerank", request), "model": llm.spec.name}
    return reply({**head, "usage": usage, "results": results})


async def score(request: web.Request, llm: ServedLlm) -> web.Response:
    body = read_json(await request.read(), _score_decoder)
    llm.check_name(body.model)
    left = [body.text_1] if isinstance(body.text_1, str) else body.text_1
    right = [body.text_2] if isinstance(body.text_2, str) else body.text_2
    if len(left) == 1:
        left = left * len(right)
    if len(left) != len(right):
        raise RequestRefused(
            f"text_1 has {len(left)} texts and text_2 has {len(right)}; give one or as many",
            param="text_1",
        )
    scores, usage = await _scores(llm, list(zip(left, right, strict=True)), body.priority)
    data = [{"index": i, "object": "score", "score": value} for i, value in enumerate(scores)]
    head = {"id": new_id("score", request), "object": "list", "created": int(time.time())}
    return reply({**head, "model": llm.spec.name, "data": data, "usage": usage})


async def _scores(
    llm: ServedLlm, pairs: list[tuple[str, str]], priority: int
) -> tuple[list[float], dict[str, object]]:
    """A score for each pair of texts, and the usage. A pair is one prompt, as in cross-encoders."""
    if not pairs:
        raise RequestRefused("there are no documents to score", param="documents")
    prompts = [text_prompt(f"{one}\n{other}") for one, other in pairs]
    usage = await llm.prefill(prompts, priority)
    rngs = (llm.author.rng(one.encode(), other.encode()) for one, other in pairs)
    found = [relevance(one, other, rng) for (one, other), rng in zip(pairs, rngs, strict=True)]
    return found, usage.wire()


def _tokens(value: str | list[object], items: int) -> list[list[str]]:
    """The words of each input. Each token id counts as a word."""
    if isinstance(value, str):
        return [words(value)]
    parts = value if len(value) == items and not isinstance(value[0], int) else [value]
    return [
        words(part) if isinstance(part, str) else str(part).strip("[]").split(", ")
        for part in parts
    ]


def _encode(vector: list[float], encoding: str) -> list[float] | str:
    if encoding == "float":
        return vector
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
