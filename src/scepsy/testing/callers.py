"""Callers of a gateway, for tests of what a change of a deployment does to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp


@dataclass(slots=True)
class Answers:
    """What callers got. `failed` has a sentence for each call that was not answered in full."""

    complete: int = 0
    failed: list[str] = field(default_factory=list[str])


async def call(url: str, llm: str, tokens: int) -> str | None:
    """One streamed completion of exactly `tokens` tokens. Returns why it failed; None where it was
    answered in full.
    """
    body = {"model": llm, "prompt": "why", "max_tokens": tokens, "ignore_eos": True, "stream": True}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300)) as session,
            session.post(f"{url}/v1/completions", json=body) as answer,
        ):
            text = await answer.text()
            if answer.status != 200:
                return f"{answer.status}: {text[:300]}"
            return None if text.rstrip().endswith("[DONE]") else f"broken off: {text[-300:]}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return repr(error)


@asynccontextmanager
async def calling(
    url: str, llm: str, *, tokens: int = 16, callers: int = 2
) -> AsyncGenerator[Answers]:
    """Callers that call again and again while the block runs. Then each finishes its last call."""
    answers, over = Answers(), asyncio.Event()

    async def caller() -> None:
        while not over.is_set():
            why = await call(url, llm, tokens)
            if why is None:
                answers.complete += 1
            else:
                answers.failed.append(why)
                await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(callers):
            tasks.create_task(caller())
        try:
            yield answers
        finally:
            over.set()


async def until_in_flight(url: str, calls: int) -> None:
    """Waits until the gateway has at least `calls` calls in flight at replicas."""
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/scepsy/status") as answer:
                told = await answer.json()
            if sum(one["in_flight"] for one in told["replicas"]) >= calls:
                return
            await asyncio.sleep(0.05)
