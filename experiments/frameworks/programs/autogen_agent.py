"""AutoGen: an assistant with tools, three critics at once, then a team of two that takes turns."""

from __future__ import annotations

import asyncio
import os

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient

INFO = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "structured_output": True,
    "family": "unknown",
}


def client(name: str) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(model=name, model_info=INFO, max_tokens=80)


writer = client(os.environ.get("WRITER", "writer"))
critic = client(os.environ.get("CRITIC", "critic"))


def look_up(topic: str) -> str:
    """What is known about a topic."""
    return f"{topic} is a well-known matter"


def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


async def aanswer(word: str) -> str:
    researcher = AssistantAgent(
        "researcher",
        writer,
        tools=[look_up, add],
        system_message="You research.",
        max_tool_iterations=4,
        reflect_on_tool_use=True,
    )
    found = (await researcher.run(task=f"Find out about {word}.")).messages[-1].to_text()
    critics = [AssistantAgent(f"critic{i}", critic, system_message="Review.") for i in range(3)]
    asked = f"Review this about {word}: {found[:200]}"
    reviews = await asyncio.gather(*(one.run(task=asked) for one in critics))
    draft = " / ".join(review.messages[-1].to_text() for review in reviews)
    team = RoundRobinGroupChat(
        [
            AssistantAgent("author", writer, system_message="You write."),
            AssistantAgent("editor", critic, system_message="You edit."),
        ],
        termination_condition=MaxMessageTermination(4),
    )
    ended = await team.run(task=f"Write about {word}, heeding: {draft}")
    return ended.messages[-1].to_text()
