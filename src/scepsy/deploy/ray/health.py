"""Asks an engine on another node whether it is well."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aiohttp

_CHECKS = 3
"""Health checks in a row that an engine has to miss. One on a busy machine may miss one."""

_ANSWER_WITHIN = 3.0
"""Seconds that it has to answer one."""


async def answers(url: str) -> bool:
    """Whether the engine answers a health check."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        for _ in range(_CHECKS):
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(f"{url}/health") as response:
                    if response.status == 200:
                        return True
            await asyncio.sleep(0.5)
    return False
