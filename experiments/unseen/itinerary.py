"""Plans a trip: several LLMs work at once in every round, then one of them decides.

    python experiments/unseen/itinerary.py "three days in Porto"

Asks for `generator`, `verifier`, `embedder` and `reranker` at OPENAI_BASE_URL.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from asking import ask, client

ROUNDS_MAX, SIGHTS, DRAFT_TOKENS, CRITIQUE_TOKENS = 3, 12, 160, 48
DECISION: Any = {
    "type": "json_schema",
    "json_schema": {"name": "decision", "schema": {"type": "string", "enum": ["accept", "revise"]}},
}


async def run(wish: str) -> str:
    """An itinerary: one LLM drafts while another criticises and two rank the sights."""
    draft = await ask("generator", f"Draft an itinerary for {wish}.", DRAFT_TOKENS)
    for number in range(ROUNDS_MAX):
        redraft, critique, distance, _ = await asyncio.gather(
            ask(
                "generator",
                f"Improve this itinerary for {wish}, version {number}: {draft}",
                DRAFT_TOKENS,
            ),
            ask(
                "verifier",
                f"What is wrong with this itinerary for {wish}? {draft}",
                CRITIQUE_TOKENS,
            ),
            ask(
                "verifier",
                f"How long are the ways in this itinerary, in km? {draft}",
                CRITIQUE_TOKENS,
            ),
            sights(wish, number),
        )
        question = f"Accept or revise? {redraft} Critique: {critique} Ways: {distance}"
        verdict = await ask("verifier", question, 4, response_format=DECISION)
        draft = redraft
        if "accept" in verdict:
            break
    return draft


async def sights(wish: str, number: int) -> list[float]:
    """Relevance of sights to the wish: embedded, then reranked."""
    names = [f"sight {number}-{index} of {wish}" for index in range(SIGHTS)]
    await client.embeddings.create(model="embedder", input=names)
    ranked: Any = await client.post(
        "/rerank", cast_to=object, body={"model": "reranker", "query": wish, "documents": names}
    )
    return [result["relevance_score"] for result in ranked["results"]]


if __name__ == "__main__":
    print(asyncio.run(run(sys.argv[1])))
