"""The workflow that is profiled: three drafts at once, each scored, the best one put in a sentence.

Many short calls in parallel, with short prompts.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from openai import AsyncOpenAI

GENERATOR, VERIFIER = "generator", "verifier"
DRAFTS, DRAFT_TOKENS, ANSWER_TOKENS, VERDICT_TOKENS = 3, 40, 24, 6
SCORE: Any = {
    "type": "json_schema",
    "json_schema": {"name": "score", "schema": {"type": "string", "enum": list("12345")}},
}

client = AsyncOpenAI()


async def run(problem: str) -> str:
    """The answer to `problem`."""
    drafts = await asyncio.gather(*(write(problem, DRAFT_TOKENS, seed) for seed in range(DRAFTS)))
    scores = await asyncio.gather(*(score(problem, draft) for draft in drafts))
    best = max(zip(scores, drafts, strict=True))[1]
    return await write(f"{problem}\nA draft: {best}\nIn one sentence:", ANSWER_TOKENS, 0)


async def write(text: str, tokens: int, seed: int) -> str:
    answer = await client.chat.completions.create(
        model=GENERATOR,
        messages=[{"role": "user", "content": text}],
        max_tokens=tokens,
        temperature=0.8,
        seed=seed,
    )
    return answer.choices[0].message.content or ""


async def score(problem: str, draft: str) -> str:
    answer = await client.chat.completions.create(
        model=VERIFIER,
        messages=[{"role": "user", "content": f"{problem}\n{draft}\nScore it from 1 to 5:"}],
        max_tokens=VERDICT_TOKENS,
        temperature=0.8,
        seed=0,
        response_format=SCORE,
    )
    return answer.choices[0].message.content or ""


if __name__ == "__main__":
    print(asyncio.run(run(" ".join(sys.argv[1:]))))
