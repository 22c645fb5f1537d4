"""How long a gateway runs: until it is told to stop, or what runs beside it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


async def until_stopped(stop: asyncio.Event, beside: Coroutine[None, None, None] | None) -> None:
    """Waits for the event, or until what runs beside ends, whose error is raised."""
    if beside is None:
        await stop.wait()
        return
    stopped, other = asyncio.create_task(stop.wait()), asyncio.create_task(beside)
    try:
        await asyncio.wait([stopped, other], return_when=asyncio.FIRST_COMPLETED)
        if other.done():
            other.result()
    finally:
        stopped.cancel()
        other.cancel()
        await asyncio.wait([stopped, other])
