"""Three LLMs solve a problem, read one another's solutions and revise; a judge ends it and decides.

    python examples/debate.py "How many primes are there below 50?"

AutoGen: each debater remembers what was said; all three answer at once in every round.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Literal

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ModelFamily, ModelInfo
from autogen_ext.models.openai import OpenAIChatCompletionClient
from openai import LengthFinishReasonError
from pydantic import BaseModel

DEBATER_LLMS = os.environ.get("DEBATER_LLMS", "generator coder fast").split()
JUDGE_LLM = os.environ.get("JUDGE_LLM", "verifier")

MOST_ROUNDS = 5
SOLUTION_TOKENS, RULING_TOKENS = 160, 64

DEBATER_PROMPT = (
    "You debate the solution of a problem with others. Solve it step by step and briefly. When you "
    "are shown the others' solutions, say what is wrong in them, and correct your own."
)
JUDGE_PROMPT = (
    "You judge a debate on the solution of a problem. Say whether the debaters agree, whether they "
    "need another round, and whose solution is the best so far."
)


class Ruling(BaseModel):
    state: Literal["they agree", "another round", "they will not agree"]
    best: int


async def run(problem: str) -> str:
    """The solution that the judge prefers in the end."""
    debaters = [
        AssistantAgent(
            f"debater_{number}", client(llm, SOLUTION_TOKENS), system_message=DEBATER_PROMPT
        )
        for number, llm in enumerate(DEBATER_LLMS)
    ]
    judge = AssistantAgent(
        "judge",
        client(JUDGE_LLM, RULING_TOKENS),
        system_message=JUDGE_PROMPT,
        output_content_type=Ruling,
    )
    tasks = [problem] * len(debaters)
    solutions: list[str] = []
    best = 0
    for _ in range(MOST_ROUNDS):
        solutions = await asyncio.gather(*map(say, debaters, tasks))
        ruling = await rule(judge, problem, solutions)
        if ruling is None:
            continue
        best = ruling.best % len(solutions)
        if ruling.state != "another round":
            break
        tasks = [others(solutions, own) for own in range(len(solutions))]
    return solutions[best]


async def say(agent: AssistantAgent, task: str) -> str:
    return (await agent.run(task=task)).messages[-1].to_text().strip()


async def rule(judge: AssistantAgent, problem: str, solutions: Sequence[str]) -> Ruling | None:
    """None where the answer is no ruling."""
    task = f"Problem: {problem}\n\n{numbered(solutions)}"
    try:
        return Ruling.model_validate_json(await say(judge, task))
    except (ValueError, LengthFinishReasonError):
        return None


def others(solutions: Sequence[str], own: int) -> str:
    rest = [solution for number, solution in enumerate(solutions) if number != own]
    return f"The others' solutions:\n\n{numbered(rest)}\n\nRevise yours."


def numbered(solutions: Sequence[str]) -> str:
    return "\n\n".join(f"Solution {number}: {one}" for number, one in enumerate(solutions))


def client(llm: str, most: int) -> OpenAIChatCompletionClient:
    info = ModelInfo(
        vision=False,
        function_calling=True,
        json_output=True,
        structured_output=True,
        family=ModelFamily.UNKNOWN,
    )
    return OpenAIChatCompletionClient(model=llm, model_info=info, max_tokens=most)


if __name__ == "__main__":
    print(asyncio.run(run(" ".join(sys.argv[1:]))))
