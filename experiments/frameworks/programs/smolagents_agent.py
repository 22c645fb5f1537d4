"""smolagents: an agent that calls tools, three reviewers in threads, and a loop. Blocking only."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from smolagents import ChatMessage, LogLevel, OpenAIModel, ToolCallingAgent, tool

writer = OpenAIModel(model_id=os.environ.get("WRITER", "writer"), max_tokens=120)
critic = OpenAIModel(model_id=os.environ.get("CRITIC", "critic"), max_tokens=40)


@tool
def look_up(topic: str) -> str:
    """What is known about a topic.

    Args:
        topic: what to look up.
    """
    return f"{topic} is a well-known matter"


@tool
def add(a: int, b: int) -> int:
    """The sum of two numbers.

    Args:
        a: one.
        b: the other.
    """
    return a + b


def say(model: OpenAIModel, text: str) -> str:
    return model.generate([ChatMessage(role="user", content=text)]).content or ""


def answer(word: str) -> str:
    agent = ToolCallingAgent(
        tools=[look_up, add], model=writer, max_steps=4, verbosity_level=LogLevel.OFF
    )
    found = str(agent.run(f"Find out about {word}."))
    points = [f"Review point {i} about {word}: {found[:200]}" for i in range(3)]
    with ThreadPoolExecutor() as pool:
        remarks = list(pool.map(lambda point: say(critic, point), points))
    draft = " / ".join(remarks)
    for _ in range(2):
        draft = say(writer, f"Write about {word}, heeding: {draft}")
    return draft
