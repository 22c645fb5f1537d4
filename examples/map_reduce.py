"""Sums up the documentation of some Python modules: each piece, then summaries of summaries.

    python examples/map_reduce.py "heapq queue threading"

A LangGraph. A small LLM sums up all pieces at once, a large one groups of summaries, level by
level, until one is left. A checker may send that back to be revised.
"""

from __future__ import annotations

import asyncio
import json
import operator
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import BaseModel

MAP_LLM = os.environ.get("MAP_LLM", "fast")
REDUCE_LLM = os.environ.get("REDUCE_LLM", "generator")
CHECKER_LLM = os.environ.get("CHECKER_LLM", "verifier")

CORPUS = Path(__file__).parent / "data" / "corpus.jsonl"
PIECE, MOST_PIECES, GROUP, MOST_REVISIONS = 1500, 40, 4, 3
PIECE_TOKENS, SUMMARY_TOKENS, VERDICT_TOKENS = 100, 200, 32


class Verdict(BaseModel):
    verdict: Literal["covers everything", "leaves something out", "claims what is not there"]


class State(TypedDict):
    modules: str
    parts: Annotated[list[tuple[int, str]], operator.add]
    summaries: list[str]
    verdict: str
    revisions: int


class Piece(TypedDict):
    number: int
    text: str


def pieces(state: State) -> list[Send]:
    text = documentation(state["modules"])
    starts = range(0, len(text), PIECE)[:MOST_PIECES]
    cut = [text[start : start + PIECE] for start in starts]
    return [Send("map", Piece(number=number, text=piece)) for number, piece in enumerate(cut)]


async def map_piece(piece: Piece) -> dict[str, Any]:
    summary = await write(MAP_LLM, f"{piece['text']}\n\nSum this up.", PIECE_TOKENS)
    return {"parts": [(piece["number"], summary)]}


async def collect(state: State) -> dict[str, Any]:
    return {"summaries": [summary for _, summary in sorted(state["parts"])]}


async def reduce(state: State) -> dict[str, Any]:
    """One level: a summary of each group."""
    below = state["summaries"]
    groups = [below[start : start + GROUP] for start in range(0, len(below), GROUP)]
    merge = "\n\nMerge these summaries into one."
    written = (write(REDUCE_LLM, "\n\n".join(group) + merge, SUMMARY_TOKENS) for group in groups)
    return {"summaries": await asyncio.gather(*written), "revisions": 0}


def until_one(state: State) -> str:
    return "reduce" if len(state["summaries"]) > 1 else "check"


async def check(state: State) -> dict[str, Any]:
    llm = ChatOpenAI(model=CHECKER_LLM, max_tokens=VERDICT_TOKENS)
    judge = llm.with_structured_output(Verdict.model_json_schema(), method="json_schema")
    asked = f"{sources(state)}\n\nSummary: {state['summaries'][0]}\n\nJudge the summary."
    try:
        verdict = Verdict.model_validate(await judge.ainvoke(asked)).verdict
    except ValueError:  # nonsense judges nothing
        verdict = "covers everything"
    return {"verdict": verdict}


def good_enough(state: State) -> str:
    done = state["verdict"] == "covers everything" or state["revisions"] == MOST_REVISIONS
    return END if done else "revise"


async def revise(state: State) -> dict[str, Any]:
    asked = (
        f"{sources(state)}\n\nSummary: {state['summaries'][0]}\n\nIt {state['verdict']}: mend it."
    )
    summary = await write(REDUCE_LLM, asked, SUMMARY_TOKENS)
    return {"summaries": [summary], "revisions": state["revisions"] + 1}


async def write(llm: str, asked: str, most: int) -> str:
    said = await ChatOpenAI(model=llm, max_tokens=most).ainvoke(asked)
    return str(said.content).strip()


def sources(state: State) -> str:
    return "\n\n".join(summary for _, summary in sorted(state["parts"]))


def documentation(modules: str) -> str:
    """What the corpus has of these modules; of all where it knows none of them."""
    wanted = set(modules.split())
    passages = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    chosen = [one for one in passages if one["title"].split(".")[0] in wanted] or passages
    return "\n\n".join(f"{one['title']}\n{one['text']}" for one in chosen)


graph = StateGraph(State)
graph.add_node("map", map_piece)
graph.add_node("collect", collect)
graph.add_node("reduce", reduce)
graph.add_node("check", check)
graph.add_node("revise", revise)
graph.add_conditional_edges(START, pieces, ["map"])
graph.add_edge("map", "collect")
graph.add_edge("collect", "reduce")
graph.add_conditional_edges("reduce", until_one, ["reduce", "check"])
graph.add_conditional_edges("check", good_enough, ["revise", END])
graph.add_edge("revise", "check")
workflow = graph.compile()


async def run(modules: str) -> str:
    """A summary of the documentation of `modules`."""
    ended = await workflow.ainvoke({"modules": modules})
    return ended["summaries"][0]


if __name__ == "__main__":
    print(asyncio.run(run(" ".join(sys.argv[1:]))))
