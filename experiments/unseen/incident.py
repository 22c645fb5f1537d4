"""Looks into an incident: an LLM chooses commands, each of which takes seconds.

    python experiments/unseen/incident.py "checkout answers slowly since noon"

Asks for `generator` and `verifier` at OPENAI_BASE_URL. The commands are pauses of fixed length.
"""

from __future__ import annotations

import asyncio
import sys
from hashlib import blake2b
from typing import Any

from asking import ask

STEPS_MIN, STEPS_MAX, COMMAND_TOKENS, REPORT_TOKENS = 2, 5, 60, 220
COMMAND_SECONDS = (0.4, 1.1, 1.9, 2.6)
"""How long the commands take: logs, metrics, a query, a test."""
ENOUGH: Any = {
    "type": "json_schema",
    "json_schema": {"name": "enough", "schema": {"type": "string", "enum": ["yes", "no"]}},
}


async def run(incident: str) -> str:
    """A report on the incident, after two to five commands and a second opinion."""
    seen = ""
    for step in range(STEPS_MAX):
        command = await ask(
            "generator", f"Incident: {incident}. Seen: {seen} Next command?", COMMAND_TOKENS
        )
        seen += await execute(command)
        enough = await ask(
            "verifier", f"Is the cause of {incident!r} clear? {seen}", 4, response_format=ENOUGH
        )
        if step + 1 >= STEPS_MIN and "yes" in enough:
            break
    report, _ = await asyncio.gather(
        ask("generator", f"Write a report on {incident}. {seen}", REPORT_TOKENS), execute("archive")
    )
    return report


async def execute(command: str) -> str:
    """What the command shows. Its time depends on the command alone."""
    drawn = blake2b(command.encode(), digest_size=2).digest()
    await asyncio.sleep(COMMAND_SECONDS[drawn[0] % len(COMMAND_SECONDS)])
    return f"[{command[:80]}: {'ok ' * (20 + drawn[1] % 60)}] "


if __name__ == "__main__":
    print(asyncio.run(run(sys.argv[1])))
