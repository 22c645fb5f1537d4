"""Callers of a gateway, for tests of what a change of a deployment does to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from scepsy.deploy.backend import Backend


@dataclass(slots=True)
class Answers:
    """What callers got. `failed` has a sentence for each call that was not answered in full,
    `longest` the seconds that the longest call took.
    """

    complete: int = 0
    failed: list[str] = field(default_factory=list[str])
    longest: float = 0.0


async def call(url: str, llm: str, tokens: int, *, stream: bool = True) -> str | None:
    """One completion of exactly `tokens` tokens, streamed or in one piece. Returns why it failed;
    None where it was answered in full.
    """
    body = {"model": llm, "prompt": "why", "max_tokens": tokens, "ignore_eos": True}
    body |= {"stream": stream}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300)) as session,
            session.post(f"{url}/v1/completions", json=body) as answer,
        ):
            text = await answer.text()
            if answer.status != 200:
                return f"{answer.status}: {text[:300]}"
            whole = not stream or text.rstrip().endswith("[DONE]")
            return None if whole else f"broken off: {text[-300:]}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return repr(error)


@asynccontextmanager
async def calling(
    url: str, llm: str, *, tokens: int = 16, callers: int = 2, stream: bool = True
) -> AsyncGenerator[Answers]:
    """Callers that call again and again while the block runs. Then each finishes its last call."""
    answers, over = Answers(), asyncio.Event()

    async def caller() -> None:
        while not over.is_set():
            begun = time.monotonic()
            why = await call(url, llm, tokens, stream=stream)
            answers.longest = max(answers.longest, time.monotonic() - begun)
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


async def until_in_flight(backend: Backend, calls: int) -> None:
    """Waits until the deployment's gateway has at least `calls` calls in flight at replicas."""
    async with asyncio.timeout(60):
        while True:
            told = await backend.status()
            if sum(one.in_flight or 0 for one in told.replicas) >= calls:
                return
            await asyncio.sleep(0.05)
