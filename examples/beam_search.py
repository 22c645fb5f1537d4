"""Solves a problem by beam search: a generator proposes steps, a verifier scores them.

python examples/beam_search.py "How many primes are there below 50?"
"""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

GENERATOR_LLM = os.environ.get("GENERATOR_LLM", "generator")
VERIFIER_LLM = os.environ.get("VERIFIER_LLM", "verifier")

EXPANSIONS = 2
START_WIDTH, LEAST_WIDTH, MOST_WIDTH = 3, 2, 5
LEAST_ROUNDS, MOST_ROUNDS = 3, 8
LOW_SCORE, HIGH_SCORE, BEST_SCORE = 2.75, 3.25, 5
STEP_TOKENS, ANSWER_TOKENS, SCORE_TOKENS = 64, 96, 4

GENERATOR_PROMPT = (
    "You solve problems step by step. You are given a problem and the steps taken so far. "
    "Write the next step only: one or two sentences that bring the solution closer, with the "
    "calculation they need. Do not repeat earlier steps and do not skip ahead."
)
VERIFIER_PROMPT = (
    "You judge solutions step by step. You are given a problem and the steps taken so far. Judge "
    "the last step only: is it correct, does it follow from the steps before it, does it bring the "
    "solution closer? Answer with a score from 1 (wrong) to 5 (correct, and decisive)."
)
SCORE_FORMAT: Any = {
    "type": "json_schema",
    "json_schema": {"name": "score", "schema": {"type": "string", "enum": list("12345")}},
}

client = AsyncOpenAI()


@dataclass(frozen=True)
class Beam:
    """A solution so far, and the verifier's score of its last step."""

    steps: tuple[str, ...] = ()
    score: int = 0


async def run(problem: str) -> str:
    """The answer to `problem`."""
    beams, width = [Beam()] * START_WIDTH, START_WIDTH
    for round_number in range(1, MOST_ROUNDS + 1):
        steps = await asyncio.gather(
            *(
                next_step(problem, beam, variant=index * EXPANSIONS + expansion)
                for index, beam in enumerate(beams)
                for expansion in range(EXPANSIONS)
            )
        )
        parents = [beam for beam in beams for _ in range(EXPANSIONS)]
        grown = [(*parent.steps, step) for parent, step in zip(parents, steps, strict=True)]
        scores = await asyncio.gather(*(score(problem, path) for path in grown))
        candidates = [Beam(path, mark) for path, mark in zip(grown, scores, strict=True)]
        ranked = sorted(candidates, key=lambda beam: beam.score, reverse=True)
        if round_number >= LEAST_ROUNDS and ranked[0].score == BEST_SCORE:
            return await conclude(problem, ranked[0])
        mean = sum(scores) / len(scores)
        if mean < LOW_SCORE:  # nothing convinces: look around more
            width = min(width + 1, MOST_WIDTH)
        elif mean > HIGH_SCORE:
            width = max(width - 1, LEAST_WIDTH)
        beams = ranked[:width]
    return await conclude(problem, beams[0])


async def next_step(problem: str, beam: Beam, variant: int) -> str:
    answer = await client.chat.completions.create(
        model=GENERATOR_LLM,
        messages=conversation(GENERATOR_PROMPT, problem, beam.steps),
        max_tokens=STEP_TOKENS,
        temperature=0.8,
        seed=variant,
    )
    return (answer.choices[0].message.content or "").strip()


async def score(problem: str, steps: tuple[str, ...]) -> int:
    """From 1 to 5; an answer that is no score is the worst one."""
    answer = await client.chat.completions.create(
        model=VERIFIER_LLM,
        messages=conversation(VERIFIER_PROMPT, problem, steps),
        max_tokens=SCORE_TOKENS,
        temperature=0,
        response_format=SCORE_FORMAT,
    )
    text = (answer.choices[0].message.content or "").strip('" \n')
    return int(text) if text in set("12345") else 1


async def conclude(problem: str, beam: Beam) -> str:
    ask = "That is enough. Now state the final answer in one or two sentences."
    answer = await client.chat.completions.create(
        model=GENERATOR_LLM,
        messages=[
            *conversation(GENERATOR_PROMPT, problem, beam.steps),
            {"role": "user", "content": ask},
        ],
        max_tokens=ANSWER_TOKENS,
        temperature=0,
    )
    return (answer.choices[0].message.content or "").strip()


def conversation(
    instructions: str, problem: str, steps: tuple[str, ...]
) -> list[ChatCompletionMessageParam]:
    """Equal beginnings for paths that begin equally, so that an engine reuses their KV cache."""
    written = "".join(f"\nStep {number}: {step}" for number, step in enumerate(steps, start=1))
    return [
        {"role": "system", "content": instructions},
        {"role": "user", "content": f"Problem: {problem}\n{written}"},
    ]


if __name__ == "__main__":
    print(asyncio.run(run(" ".join(sys.argv[1:]))))
