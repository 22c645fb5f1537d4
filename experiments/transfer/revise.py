"""The workflow that is served: a long draft, judged on two points, revised until both are met.

A loop of few long calls, one after another, with prompts that grow: nothing like what is profiled.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from openai import AsyncOpenAI

GENERATOR, VERIFIER = "generator", "verifier"
MOST_DRAFTS, DRAFT_TOKENS, VERDICT_TOKENS = 4, 90, 8
POINTS = ("Is it correct?", "Is it clear?")
INSTRUCTIONS = (
    "You answer questions in a short paragraph. State what is asked, what is known, and the steps "
    "from one to the other; give every number with its unit, and check the result before you state "
    "it. If an earlier draft and what was found wrong with it are given, write a better one."
)
VERDICT: Any = {
    "type": "json_schema",
    "json_schema": {"name": "verdict", "schema": {"type": "string", "enum": ["yes", "no"]}},
}

client = AsyncOpenAI()


async def run(question: str) -> str:
    """The answer to `question`."""
    history = ""
    draft = ""
    for attempt in range(MOST_DRAFTS):
        draft = await write(f"{question}{history}", attempt)
        verdicts = await asyncio.gather(*(judge(question, draft, point) for point in POINTS))
        failed = [p for p, verdict in zip(POINTS, verdicts, strict=True) if "yes" not in verdict]
        if not failed:
            break
        history = f"\nAn earlier draft: {draft}\nIt failed on: {' '.join(failed)}"
    return draft


async def write(text: str, attempt: int) -> str:
    answer = await client.chat.completions.create(
        model=GENERATOR,
        messages=[{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": text}],
        max_tokens=DRAFT_TOKENS,
        temperature=0.8,
        seed=attempt,
    )
    return answer.choices[0].message.content or ""


async def judge(question: str, draft: str, point: str) -> str:
    answer = await client.chat.completions.create(
        model=VERIFIER,
        messages=[{"role": "user", "content": f"{question}\n{draft}\n{point} Answer yes or no."}],
        max_tokens=VERDICT_TOKENS,
        temperature=0.8,
        seed=0,
        response_format=VERDICT,
    )
    return answer.choices[0].message.content or ""


if __name__ == "__main__":
    print(asyncio.run(run(" ".join(sys.argv[1:]))))
