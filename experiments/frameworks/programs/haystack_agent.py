"""Haystack: a pipeline with an agent that calls tools, three reviewers, a join, and a loop."""

from __future__ import annotations

import os

from haystack import Pipeline, component
from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import tool

WRITER, CRITIC = os.environ.get("WRITER", "writer"), os.environ.get("CRITIC", "critic")


@tool
def look_up(topic: str) -> str:
    """What is known about a topic."""
    return f"{topic} is a well-known matter"


@tool
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


@component
class Ask:
    """Says what to do, and with what was said before."""

    def __init__(self, what: str, inputs: int) -> None:
        self.what = what
        component.set_input_types(
            self, word=str, **{f"said{i}": list[ChatMessage] for i in range(inputs)}
        )

    @component.output_types(messages=list[ChatMessage])
    def run(self, word: str, **said: list[ChatMessage]) -> dict[str, list[ChatMessage]]:
        before = " / ".join(one[-1].text or "" for one in said.values())
        return {"messages": [ChatMessage.from_user(f"{self.what} {word}: {before}")]}


def generator(model: str) -> OpenAIChatGenerator:
    return OpenAIChatGenerator(model=model, generation_kwargs={"max_tokens": 60})


def pipeline() -> Pipeline:
    made = Pipeline()
    made.add_component("question", Ask("Find out about", 0))
    agent = Agent(
        chat_generator=OpenAIChatGenerator(model=WRITER), tools=[look_up, add],
        system_prompt="You research.", max_agent_steps=6,
    )  # fmt: skip
    made.add_component("agent", agent)
    made.connect("question.messages", "agent.messages")
    made.add_component("join", Ask("Write, heeding these, about", 3))
    for i in range(3):
        made.add_component(f"point{i}", Ask(f"Review point {i} about", 1))
        made.add_component(f"critic{i}", generator(CRITIC))
        made.connect("agent.messages", f"point{i}.said0")
        made.connect(f"point{i}.messages", f"critic{i}.messages")
        made.connect(f"critic{i}.replies", f"join.said{i}")
    made.add_component("author", generator(WRITER))
    made.connect("join.messages", "author.messages")
    made.add_component("improve", Ask("Improve this about", 1))
    made.add_component("editor", generator(WRITER))
    made.connect("author.replies", "improve.said0")
    made.connect("improve.messages", "editor.messages")
    return made


def begin(word: str) -> dict[str, dict[str, str]]:
    asks = ("question", "join", "improve", "point0", "point1", "point2")
    return {name: {"word": word} for name in asks}


def answer(word: str) -> str:
    return pipeline().run(begin(word))["editor"]["replies"][0].text or ""


async def aanswer(word: str) -> str:
    return (await pipeline().run_async(begin(word)))["editor"]["replies"][0].text or ""
