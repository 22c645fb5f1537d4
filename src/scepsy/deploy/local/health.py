"""Asks processes whether they are well: whether they run, and whether they answer in time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal

import aiohttp

from scepsy.engines.procfs import is_alive

ANSWER_WITHIN = 3.0
"""Seconds that a process has to answer one health check."""

PATIENCE = 3
"""Health checks in a row that a process has to miss before a change replaces it. A process on a
machine with too much work may miss one.
"""


def is_draining(health: bytes) -> bool:
    """Whether this answer to GET /health is that of a gateway that finishes its calls before it
    ends. It is well, and must not be stopped for that.
    """
    return len(health) < 100 and b'"draining"' in health


Health = Literal["ready", "silent", "dead"]
"""Whether a process answers health checks, runs and does not answer them, or has ended."""


async def health(pid: int, born: int, url: str, *, checks: int = 1) -> Health:
    """The health of the process at `url`. It is "silent" where `checks` checks in a row fail."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for left in reversed(range(checks)):
            if not is_alive(pid, born):
                return "dead"
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{url}/health") as response:
                    if response.status == 200 or is_draining(await response.read()):
                        return "ready"
            if left:
                await asyncio.sleep(0.5)
    return "silent" if is_alive(pid, born) else "dead"
