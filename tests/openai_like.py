"""A small server that speaks the OpenAI API, for tests of what calls it.

Its answers are a pure function of the request's body; scores and verdicts are uniform over those.
Where more than a choice is asked for, an object or a tool's call, it answers words: nonsense.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

WORDS = ("therefore", "the", "value", "of", "this", "sum", "is", "prime", "so", "we", "divide")


@dataclass
class OpenAiLike:
    """The server's address, and the requests it has had: (path, headers, body)."""

    url: str = ""
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    @property
    def llms(self) -> list[str]:
        return [body["model"] for _, _, body in self.requests]

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        body = json.loads(raw)
        self.requests.append((request.path, dict(request.headers), body))
        rng = random.Random(hashlib.sha256(raw).digest())
        answer = ANSWERS.get(request.path.rpartition("/")[2])
        return web.json_response({} if answer is None else answer(body, rng))


def chat(body: Any, rng: random.Random) -> dict[str, Any]:
    bound = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    text = json.dumps(rng.choice(bound["enum"])) if "enum" in bound else words(rng)
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


def responses(body: Any, rng: random.Random) -> dict[str, Any]:
    content = [{"type": "output_text", "text": words(rng), "annotations": []}]
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
    return {
        "id": "r",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "model": "m",
        "output": [{**message, "content": content}],
    }


def words(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=20))


def embeddings(body: Any, rng: random.Random) -> dict[str, Any]:
    vectors = [[rng.gauss(0, 1) for _ in range(8)] for _ in body["input"]]
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
    return {"object": "list", "model": "m", "data": data}


def rerank(body: Any, rng: random.Random) -> dict[str, Any]:
    scored = [(rng.random(), index) for index in range(len(body["documents"]))]
    ranked = sorted(scored, reverse=True)
    return {"results": [{"index": index, "relevance_score": score} for score, index in ranked]}


ANSWERS = {"completions": chat, "responses": responses, "embeddings": embeddings, "rerank": rerank}


@asynccontextmanager
async def openai_like() -> AsyncIterator[OpenAiLike]:
    """The server on a free port."""
    served = OpenAiLike()
    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/{path:.*}", served.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        served.url = f"http://{host}:{port}"
        yield served
    finally:
        await runner.cleanup()
