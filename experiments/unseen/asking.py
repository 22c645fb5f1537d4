"""How the three programs ask an LLM: the client and one chat call."""

from __future__ import annotations

from typing import Any

from openai import AsyncOpenAI

client = AsyncOpenAI()


async def ask(llm: str, prompt: str, tokens: int, **options: Any) -> str:
    answer = await client.chat.completions.create(
        model=llm, messages=[{"role": "user", "content": prompt}], max_tokens=tokens, **options
    )
    return answer.choices[0].message.content or ""
