"""LangGraph: a graph with a tool loop, a fan-out by `Send`, a join and a loop back."""

from __future__ import annotations

import operator
import os
from typing import Annotated, TypedDict

from langchain_core.messages import AnyMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Send

writer = ChatOpenAI(model=os.environ.get("WRITER", "writer"))
critic = ChatOpenAI(model=os.environ.get("CRITIC", "critic"))


@tool
def look_up(topic: str) -> str:
    """What is known about a topic."""
    return f"{topic} is a well-known matter"


@tool
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


class State(TypedDict):
    word: str
    messages: Annotated[list[AnyMessage], add_messages]
    reviews: Annotated[list[str], operator.add]
    rounds: int
    draft: str


TOOLS = [look_up, add]
researcher = writer.bind_tools(TOOLS)


def ask(word: str) -> list[tuple[str, str]]:
    return [("system", "You research."), ("user", f"Find out about {word}.")]


def research(state: State):
    return {"messages": [researcher.invoke(state["messages"])]}


async def aresearch(state: State):
    return {"messages": [await researcher.ainvoke(state["messages"])]}


def points(state: State):
    text = state["messages"][-1].content
    return [Send("review", {"word": state["word"], "point": i, "draft": text}) for i in range(3)]


def _review(part) -> str:
    return f"Review point {part['point']} about {part['word']}: {part['draft'][:200]}"


def review(part):
    return {"reviews": [critic.invoke(_review(part), max_tokens=40).content]}


async def areview(part):
    return {"reviews": [(await critic.ainvoke(_review(part), max_tokens=40)).content]}


def _join(state: State) -> str:
    return f"Write about {state['word']}, heeding: {' / '.join(state['reviews'])}"


def join(state: State):
    draft = writer.invoke(_join(state), max_tokens=60).content
    return {"draft": draft, "rounds": state["rounds"] + 1}


async def ajoin(state: State):
    draft = (await writer.ainvoke(_join(state), max_tokens=60)).content
    return {"draft": draft, "rounds": state["rounds"] + 1}


def again(state: State):
    return "join" if state["rounds"] < 2 else END


def graph(research, review, join):
    made = StateGraph(State)
    made.add_node("research", research)
    made.add_node("tools", ToolNode(TOOLS))
    made.add_node("review", review)
    made.add_node("join", join)
    made.add_node("plan", lambda state: {})
    made.add_edge(START, "research")
    made.add_conditional_edges("research", tools_condition, {"tools": "tools", END: "plan"})
    made.add_edge("tools", "research")
    made.add_conditional_edges("plan", points, ["review"])
    made.add_edge("review", "join")
    made.add_conditional_edges("join", again, ["join", END])
    return made.compile()


blocking, concurrent = graph(research, review, join), graph(aresearch, areview, ajoin)


def begin(word: str):
    return {"word": word, "messages": ask(word), "reviews": [], "rounds": 0, "draft": ""}


def answer(word: str) -> str:
    return blocking.invoke(begin(word))["draft"]


async def aanswer(word: str) -> str:
    return (await concurrent.ainvoke(begin(word)))["draft"]
