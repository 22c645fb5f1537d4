"""Answers a question about a shop from its database: three queries at once, run, judged, repaired.

    python examples/text_to_sql.py "Which city has bought the most tea?"

A LangGraph. Queries are structured output; whether they make sense SQLite and a reviewer say.
"""

from __future__ import annotations

import asyncio
import operator
import os
import sqlite3
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from pydantic import BaseModel, Field

SCHEMA_LLM = os.environ.get("SCHEMA_LLM", "fast")
CODER_LLM = os.environ.get("CODER_LLM", "coder")
REVIEWER_LLM = os.environ.get("REVIEWER_LLM", "verifier")
WRITER_LLM = os.environ.get("WRITER_LLM", "generator")

CANDIDATES, MOST_TRIES, MOST_ROWS = 3, 4, 10
FORM_TOKENS, ANSWER_TOKENS = 300, 120

shop = sqlite3.connect(":memory:")
shop.executescript((Path(__file__).parent / "data" / "shop.sql").read_text(encoding="utf-8"))
SCHEMA = dict(shop.execute("SELECT name, sql FROM sqlite_master"))  # each table's CREATE statement

Table = Literal["customers", "products", "sales"]
Column = Literal["name", "city", "day", "quantity", "product", "category", "price"]


class Tables(BaseModel):
    tables: list[Table] = Field(min_length=1, max_length=3)


class Condition(BaseModel):
    column: Column
    compare: Literal["=", "<>", "<", ">"]
    value: str


class Query(BaseModel):
    """SELECT columns, aggregate(of) FROM table WHERE condition GROUP BY the first column."""

    table: Table
    columns: list[Column] = Field(min_length=1, max_length=2)
    aggregate: Literal["count", "sum", "avg", "max"]
    of: Column
    condition: Condition | None


class Verdict(BaseModel):
    verdict: Literal["answers the question", "does not"]


class State(TypedDict):
    question: str
    schema: str
    seed: int
    found: Annotated[list[str], operator.add]
    answer: str


async def choose_tables(state: State) -> dict[str, Any]:
    everything = "\n".join(SCHEMA.values())
    asked = f"{everything}\nWhich tables does this need? {state['question']}"
    chosen = await ask(SCHEMA_LLM, Tables, asked)
    return {"schema": "\n".join(map(SCHEMA.get, chosen.tables)) if chosen else everything}


def several(state: State) -> list[Send]:
    return [Send("attempt", {**state, "seed": seed}) for seed in range(CANDIDATES)]


async def attempt(state: State) -> dict[str, Any]:
    """Writes a query, and mends it as long as SQLite or the reviewer complains."""
    complaint = ""
    for _ in range(MOST_TRIES):
        asked = f"{state['schema']}\nWrite the query: {state['question']}\n{complaint}"
        query = await ask(CODER_LLM, Query, asked, seed=state["seed"])
        found, complaint = execute(query)
        if complaint:
            continue
        asked = f"{state['question']}\n{found}\nDoes this answer the question?"
        judged = await ask(REVIEWER_LLM, Verdict, asked)
        if judged is None or judged.verdict == "answers the question":
            return {"found": [found]}
        complaint = f"{found}, which does not answer the question"
    return {}


async def answer(state: State) -> dict[str, Any]:
    found = "\n".join(state["found"]) or "No query succeeded."
    writer = ChatOpenAI(model=WRITER_LLM, max_tokens=ANSWER_TOKENS)
    said = await writer.ainvoke(f"{found}\nAnswer in two sentences: {state['question']}")
    return {"answer": str(said.content).strip()}


async def ask(llm: str, form: type[BaseModel], asked: str, seed: int = 0) -> Any:
    """The LLM's answer in that form; None where it gives another."""
    chat = ChatOpenAI(model=llm, max_tokens=FORM_TOKENS, seed=seed)
    bound = chat.with_structured_output(form.model_json_schema(), method="json_schema")
    try:
        return form.model_validate(await bound.ainvoke(asked))
    except ValueError:  # no JSON, or not of that form
        return None


def execute(query: Query | None) -> tuple[str, str]:
    """What was found, and what is wrong with it."""
    if query is None:
        return "", "Your last answer was no query."
    columns = ", ".join(dict.fromkeys(query.columns))
    where = query.condition
    limits = f" WHERE {where.column} {where.compare} ?" if where else ""
    sql = f"SELECT {columns}, {query.aggregate}({query.of}) FROM {query.table}{limits} GROUP BY 1"
    try:
        rows = shop.execute(sql, [where.value] if where else []).fetchmany(MOST_ROWS)
    except sqlite3.Error as error:
        return "", f"{sql} failed: {error}"
    return f"{sql} found {rows}", "" if rows else f"{sql} found nothing"


graph = StateGraph(State)
graph.add_node("choose tables", choose_tables)
graph.add_node("attempt", attempt)
graph.add_node("answer", answer)
graph.add_edge(START, "choose tables")
graph.add_conditional_edges("choose tables", several, ["attempt"])
graph.add_edge("attempt", "answer")
graph.add_edge("answer", END)
workflow = graph.compile()


async def run(question: str) -> str:
    """The answer to `question`."""
    return (await workflow.ainvoke({"question": question}))["answer"]


if __name__ == "__main__":
    print(asyncio.run(run(" ".join(sys.argv[1:]))))
