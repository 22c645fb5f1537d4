"""Digests a long document: one LLM labels many paragraphs at once, then writes one long summary.

    python experiments/unseen/digest.py "minutes of the works council"

Asks for `generator` and `verifier` at OPENAI_BASE_URL.
"""

from __future__ import annotations

import asyncio
import sys
from hashlib import blake2b

from asking import ask

PARAGRAPHS_MIN, PARAGRAPHS_SPREAD, PARAGRAPH_WORDS = 8, 9, 120
LABEL_TOKENS, SUMMARY_TOKENS = 8, 420


async def run(title: str) -> str:
    """A summary, from labels of eight to sixteen paragraphs."""
    paragraphs = document(title)
    labels = await asyncio.gather(
        *(
            ask("generator", f"One label for this paragraph: {text}", LABEL_TOKENS)
            for text in paragraphs
        )
    )
    kept = " ".join(
        f"{label}: {text[:300]}" for label, text in zip(labels, paragraphs, strict=True)
    )
    summary = await ask("generator", f"Summarise {title}. {kept}", SUMMARY_TOKENS)
    await ask("verifier", f"Does this summary of {title} hold? {summary}", LABEL_TOKENS)
    return summary


def document(title: str) -> list[str]:
    """The same paragraphs for the same title."""
    drawn = blake2b(title.encode(), digest_size=1).digest()[0]
    return [
        " ".join(f"{title.split()[-1]}{number}-{word}" for word in range(PARAGRAPH_WORDS))
        for number in range(PARAGRAPHS_MIN + drawn % PARAGRAPHS_SPREAD)
    ]


if __name__ == "__main__":
    print(asyncio.run(run(sys.argv[1])))
