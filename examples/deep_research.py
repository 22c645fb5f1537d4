"""Researches a question about Python's standard library: a planner, researchers at once, a writer.

    python examples/deep_research.py "How do heapq and queue differ under many threads?"

OpenAI Agents SDK: every researcher is an agent with a search tool, and decides itself how often to
search. An editor may ask for another round.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any, Literal

from agents import Agent, ModelSettings, Runner, function_tool, set_tracing_disabled
from agents.exceptions import AgentsException
from pydantic import BaseModel, Field

PLANNER_LLM = os.environ.get("PLANNER_LLM", "generator")
RESEARCHER_LLM = os.environ.get("RESEARCHER_LLM", "coder")
EDITOR_LLM = os.environ.get("EDITOR_LLM", "verifier")
WRITER_LLM = os.environ.get("WRITER_LLM", "generator")

CORPUS = Path(__file__).parent / "data" / "corpus.jsonl"
MOST_ROUNDS, MOST_TURNS, HITS, HIT_CHARACTERS = 3, 8, 3, 500
PLAN_TOKENS, NOTE_TOKENS, VERDICT_TOKENS, REPORT_TOKENS = 200, 150, 32, 500

set_tracing_disabled(True)  # its traces go to OpenAI, whatever OPENAI_BASE_URL is


class Subquestions(BaseModel):
    subquestions: list[str] = Field(min_length=2, max_length=4)


class Verdict(BaseModel):
    verdict: Literal["enough", "go deeper", "look elsewhere"]


@function_tool
def search(words: str) -> str:
    """Passages of the documentation that have most of these words."""
    wanted = terms(words)
    ranked = sorted(passages(), key=lambda passage: -len(wanted & terms(passage)))
    return "\n\n".join(passage[:HIT_CHARACTERS] for passage in ranked[:HITS])


planner = Agent(
    name="planner",
    instructions="Split the question into independent subquestions, each to be researched alone.",
    model=PLANNER_LLM,
    model_settings=ModelSettings(max_tokens=PLAN_TOKENS),
    output_type=Subquestions,
)
researcher = Agent(
    name="researcher",
    instructions="Search until you can answer. Then write what you found, naming the passages.",
    model=RESEARCHER_LLM,
    model_settings=ModelSettings(max_tokens=NOTE_TOKENS, parallel_tool_calls=False),
    tools=[search],
)
editor = Agent(
    name="editor",
    instructions="Do the notes suffice to answer the question?",
    model=EDITOR_LLM,
    model_settings=ModelSettings(max_tokens=VERDICT_TOKENS),
    output_type=Verdict,
)
writer = Agent(
    name="writer",
    instructions="Write a report that answers the question from the notes alone.",
    model=WRITER_LLM,
    model_settings=ModelSettings(max_tokens=REPORT_TOKENS),
)


async def run(question: str) -> str:
    """A report on `question`."""
    notes: list[str] = []
    verdict = ""
    for _ in range(MOST_ROUNDS):
        asked = "\n\n".join([question, *notes, verdict])
        plan = await ask(planner, asked)
        subquestions = plan.subquestions if plan else [question]
        notes += await asyncio.gather(*map(research, subquestions))
        judged = await ask(editor, "\n\n".join([question, *notes]))
        if judged is None or judged.verdict == "enough":
            break
        verdict = f"The editor says: {judged.verdict}."
    return await ask(writer, "\n\n".join([question, *notes])) or "No report was written."


async def research(subquestion: str) -> str:
    return f"{subquestion}: {await ask(researcher, subquestion) or 'nothing found'}"


async def ask(agent: Agent[Any], text: str) -> Any:
    """The agent's output; None where it is not what was asked for, or never comes to an end."""
    try:
        return (await Runner.run(agent, text, max_turns=MOST_TURNS)).final_output
    except AgentsException:
        return None


def terms(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


@cache
def passages() -> list[str]:
    found = map(json.loads, CORPUS.read_text(encoding="utf-8").splitlines())
    return [f"[{one['title']}]\n{one['text']}" for one in found]


if __name__ == "__main__":
    print(asyncio.run(run(" ".join(sys.argv[1:]))))
