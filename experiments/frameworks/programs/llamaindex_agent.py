"""LlamaIndex: a workflow of events, with an agent that calls tools, a fan-out and a loop."""

from __future__ import annotations

import os

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step
from llama_index.llms.openai_like import OpenAILike


def llm(name: str, limit: int) -> OpenAILike:
    return OpenAILike(
        model=name,
        is_chat_model=True,
        is_function_calling_model=True,
        context_window=8192,
        max_tokens=limit,
    )


writer = llm(os.environ.get("WRITER", "writer"), 120)
critic = llm(os.environ.get("CRITIC", "critic"), 40)


def look_up(topic: str) -> str:
    """What is known about a topic."""
    return f"{topic} is a well-known matter"


def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


class Point(Event):
    text: str


class Remark(Event):
    text: str


class Draft(Event):
    text: str
    round: int


class Research(Workflow):
    @step
    async def research(self, ctx: Context, begin: StartEvent) -> Point | None:
        agent = FunctionAgent(tools=[look_up, add], llm=writer, system_prompt="You research.")
        found = str(await agent.run(f"Find out about {begin.word}."))
        await ctx.store.set("word", begin.word)
        for i in range(3):
            ctx.send_event(Point(text=f"Review point {i} about {begin.word}: {found[:200]}"))

    @step(num_workers=3)
    async def review(self, point: Point) -> Remark:
        return Remark(text=(await critic.acomplete(point.text)).text)

    @step
    async def join(self, ctx: Context, remark: Remark) -> Draft | None:
        remarks = ctx.collect_events(remark, [Remark] * 3)
        return remarks and Draft(text=" / ".join(one.text for one in remarks), round=0)

    @step
    async def write(self, ctx: Context, draft: Draft) -> Draft | StopEvent:
        word = await ctx.store.get("word")
        text = (await writer.acomplete(f"Write about {word}, heeding: {draft.text}")).text
        if draft.round == 1:
            return StopEvent(result=text)
        return Draft(text=text, round=draft.round + 1)


async def aanswer(word: str) -> str:
    return await Research(timeout=120).run(word=word)
