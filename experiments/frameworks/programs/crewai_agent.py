"""CrewAI: a crew whose tasks run one after another, three of them at once."""

from __future__ import annotations

import os

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


@tool
def look_up(topic: str) -> str:
    """What is known about a topic."""
    return f"{topic} is a well-known matter"


@tool
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


def crew() -> Crew:
    writer = LLM(model=os.environ.get("WRITER", "writer"), provider="openai", max_tokens=120)
    critic = LLM(model=os.environ.get("CRITIC", "critic"), provider="openai", max_tokens=60)
    own = {"verbose": False, "max_iter": 4}
    researcher = Agent(
        role="researcher", goal="find out", backstory="curious", llm=writer, tools=[look_up, add],
        **own,
    )  # fmt: skip
    author = Agent(role="author", goal="write", backstory="patient", llm=writer, **own)
    research = Task(description="Find out about {word}.", expected_output="facts", agent=researcher)
    reviews = [
        Task(
            description=f"Review point {i} about {{word}}.",
            expected_output="a remark",
            agent=Agent(role=f"critic {i}", goal="review", backstory="strict", llm=critic, **own),
            context=[research],
            async_execution=True,
        )
        for i in range(3)
    ]
    write = Task(
        description="Write about {word}, heeding the remarks.",
        expected_output="a text",
        agent=author,
        context=reviews,
    )
    polish = Task(
        description="Improve the text about {word}.",
        expected_output="a text",
        agent=author,
        context=[write],
    )
    agents = [researcher, author, *(task.agent for task in reviews)]
    return Crew(agents=agents, tasks=[research, *reviews, write, polish], verbose=False)


def answer(word: str) -> str:
    return crew().kickoff(inputs={"word": word}).raw


async def aanswer(word: str) -> str:
    return (await crew().kickoff_async(inputs={"word": word})).raw
