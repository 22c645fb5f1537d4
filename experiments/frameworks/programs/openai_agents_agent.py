"""OpenAI Agents SDK: agents with tools, glued by plain Python. It calls /v1/responses."""

from __future__ import annotations

import asyncio
import os

from agents import Agent, Runner, function_tool

THREADS = False  # run_sync in several threads: its client is bound to the first one's event loop
WRITER, CRITIC = os.environ.get("WRITER", "writer"), os.environ.get("CRITIC", "critic")


@function_tool
def look_up(topic: str) -> str:
    """What is known about a topic."""
    return f"{topic} is a well-known matter"


@function_tool
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


researcher = Agent(name="researcher", instructions="Research.", model=WRITER, tools=[look_up, add])
reviewer = Agent(name="reviewer", instructions="Review.", model=CRITIC)
author = Agent(name="author", instructions="Write.", model=WRITER)


async def aanswer(word: str) -> str:
    found = (await Runner.run(researcher, f"Find out about {word}.")).final_output
    points = [f"Review point {i} about {word}: {found[:200]}" for i in range(3)]
    reviews = await asyncio.gather(*(Runner.run(reviewer, point) for point in points))
    draft = " / ".join(review.final_output for review in reviews)
    for _ in range(2):
        draft = (await Runner.run(author, f"Write about {word}, heeding: {draft}")).final_output
    return draft


def answer(word: str) -> str:
    found = Runner.run_sync(researcher, f"Find out about {word}.").final_output
    draft = Runner.run_sync(reviewer, f"Review this about {word}: {found[:200]}").final_output
    for _ in range(2):
        draft = Runner.run_sync(author, f"Write about {word}, heeding: {draft}").final_output
    return draft
