"""pydantic-ai: agents, one with tools, glued by plain Python. It calls /v1/responses and chat."""

from __future__ import annotations

import asyncio
import os

from pydantic_ai import Agent, ModelSettings

THREADS = False  # run_sync in several threads: its client is bound to the first one's event loop
WRITER, CRITIC = os.environ.get("WRITER", "writer"), os.environ.get("CRITIC", "critic")

short = ModelSettings(max_tokens=60)
researcher = Agent(f"openai:{WRITER}", instructions="Research.")
reviewer = Agent(f"openai-chat:{CRITIC}", instructions="Review.", model_settings=short)
author = Agent(f"openai:{WRITER}", instructions="Write.", model_settings=short)


@researcher.tool_plain
def look_up(topic: str) -> str:
    """What is known about a topic."""
    return f"{topic} is a well-known matter"


@researcher.tool_plain
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


async def aanswer(word: str) -> str:
    found = (await researcher.run(f"Find out about {word}.")).output
    points = [f"Review point {i} about {word}: {found[:200]}" for i in range(3)]
    reviews = await asyncio.gather(*map(reviewer.run, points))
    draft = " / ".join(review.output for review in reviews)
    for _ in range(2):
        draft = (await author.run(f"Write about {word}, heeding: {draft}")).output
    return draft


def answer(word: str) -> str:
    found = researcher.run_sync(f"Find out about {word}.").output
    draft = reviewer.run_sync(f"Review this about {word}: {found[:200]}").output
    for _ in range(2):
        draft = author.run_sync(f"Write about {word}, heeding: {draft}").output
    return draft
