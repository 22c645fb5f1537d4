"""DSPy: a module that chooses what to look up, reviews in parallel and writes twice.

litellm knows of no LLM of ours that it calls functions, so DSPy asks for JSON instead of tools.
"""

from __future__ import annotations

import asyncio
import os

import dspy

writer = dspy.LM(f"openai/{os.environ.get('WRITER', 'writer')}", cache=False)
critic = dspy.LM(f"openai/{os.environ.get('CRITIC', 'critic')}", cache=False)
dspy.configure(lm=writer, adapter=dspy.JSONAdapter())


def look_up(topic: str) -> str:
    """What is known about a topic."""
    return f"{topic} is a well-known matter"


TOOL = dspy.Tool(look_up)


class Research(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.choose = dspy.Predict("question, found: list[str] -> answer: str")
        self.review = dspy.Predict("remark_on -> answer: str")
        self.write = dspy.Predict("question, remarks: list[str] -> answer: str")
        self.review.set_lm(critic)

    def forward(self, word: str) -> str:
        question, found = f"What about {word}?", []
        for _ in range(3):
            found.append(TOOL(topic=self.choose(question=question, found=found).answer))
        points = [dspy.Example(remark_on=f"point {i} about {word}: {found}") for i in range(3)]
        parallel = dspy.Parallel(num_threads=3)
        pairs = [(self.review, point.with_inputs("remark_on")) for point in points]
        remarks = [said.answer for said in parallel(pairs)]
        for _ in range(2):
            remarks = [self.write(question=question, remarks=remarks).answer]
        return remarks[0]

    async def aforward(self, word: str) -> str:
        question, found = f"What about {word}?", []
        for _ in range(3):
            said = await self.choose.acall(question=question, found=found)
            found.append(await TOOL.acall(topic=said.answer))
        points = [f"point {i} about {word}: {found}" for i in range(3)]
        said = await asyncio.gather(*(self.review.acall(remark_on=point) for point in points))
        remarks = [one.answer for one in said]
        for _ in range(2):
            remarks = [(await self.write.acall(question=question, remarks=remarks)).answer]
        return remarks[0]


def answer(word: str) -> str:
    return Research()(word=word)


async def aanswer(word: str) -> str:
    return await Research().acall(word=word)
